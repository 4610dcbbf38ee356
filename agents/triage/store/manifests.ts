import type { Store } from '#agents/runtime/store.ts';
import { Manifest } from '#bus/messages/manifest.ts';

/** The newest manifest of each sentinel. */
export interface ManifestRows {
  /** False when this sentinel has sent a newer one that is not from after `latest`, by a clock that was set back since. */
  save(manifest: Manifest, latest: number): boolean;
  newest(): Manifest | undefined;
  sentinels(): string[];
}

export function manifestRows(rows: Store): ManifestRows {
  return {
    save(manifest, latest) {
      const { changes } = rows.run(
        `INSERT INTO manifests (sentinel, at, sequence, body) VALUES (?,?,?,?)
         ON CONFLICT (sentinel) DO UPDATE SET at = excluded.at, sequence = excluded.sequence, body = excluded.body
         WHERE excluded.at >= at OR at > ?`,
        manifest.sentinel,
        Date.parse(manifest.at),
        manifest.sequence,
        JSON.stringify(manifest),
        latest,
      );
      return changes > 0;
    },
    newest() {
      const row = rows.get('SELECT body FROM manifests ORDER BY at DESC LIMIT 1');
      return row === undefined ? undefined : Manifest.parse(JSON.parse(String(row['body'])));
    },
    sentinels: () => rows.all('SELECT sentinel FROM manifests').map((row) => String(row['sentinel'])),
  };
}
