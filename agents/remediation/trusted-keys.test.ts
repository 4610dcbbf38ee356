import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadSigner } from '#bus/keys.ts';
import { distrustIn } from '#agents/runtime/trust.ts';
import { startWorker } from '../../test/parts/remediation.ts';
import { hasSshd, lacksSshd } from '../../test/parts/sshd.ts';

describe.skipIf(!hasSshd)(`whose signature counts${lacksSshd}`, () => {
  it('the worker says which keys it knows and where it looks, and knows one from the moment it lies there', async () => {
    await using worker = await startWorker();
    const folder = mkdtempSync(join(tmpdir(), 'lares-triage-'));
    try {
      const elsewhere = loadSigner(folder, 'console');
      const ask = () => worker.triage.request('signers', {}, AbortSignal.timeout(10_000));
      const file = join(folder, 'console.pub');
      const console = { name: 'console', keyId: elsewhere.keyId, file } as const;
      const answer = await ask();
      const triage = {
        name: 'triage',
        keyId: worker.signer.keyId,
        file: join(worker.folder, 'keys/triage.pub'),
      } as const;
      expect(distrustIn(answer, triage)).toBeUndefined();
      const mend = distrustIn(answer, console)?.mend.split(' ') ?? [];
      expect(mend.slice(0, 2)).toEqual(['scp', file]);
      copyFileSync(file, (mend[2] ?? '').replace('WORKER:', ''));
      expect(distrustIn(await ask(), console)).toBeUndefined();
    } finally {
      rmSync(folder, { recursive: true });
    }
  }, 60_000);
});
