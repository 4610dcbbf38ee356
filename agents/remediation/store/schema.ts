/** Applied in order, once each. Never edit one that has shipped. */
export const remediationMigrations: readonly string[] = [
  `
  CREATE TABLE proposals (
    id TEXT PRIMARY KEY, body TEXT NOT NULL, plan TEXT, at INTEGER NOT NULL
  );
  CREATE TABLE plans (
    id TEXT PRIMARY KEY, proposal TEXT NOT NULL, incident TEXT, playbook TEXT NOT NULL, status TEXT NOT NULL,
    digest TEXT, body TEXT NOT NULL, alertnames TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
    decided_at INTEGER, cleared INTEGER NOT NULL DEFAULT 0
  );
  CREATE INDEX plans_status ON plans (status);
  CREATE TABLE approvals (
    id TEXT PRIMARY KEY, plan TEXT NOT NULL, body TEXT NOT NULL, outcome TEXT, at INTEGER NOT NULL
  );
  CREATE TABLE runs (
    id TEXT PRIMARY KEY, plan TEXT NOT NULL UNIQUE, playbook TEXT NOT NULL, status TEXT NOT NULL, body TEXT NOT NULL,
    verdict TEXT, locked INTEGER NOT NULL, claimed_at INTEGER NOT NULL, ended_at INTEGER, closed_at INTEGER,
    cleared INTEGER NOT NULL DEFAULT 0
  );
  CREATE INDEX runs_open ON runs (status, cleared);
  CREATE TABLE run_targets (
    run TEXT NOT NULL REFERENCES runs (id), host TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (run, target)
  );
  CREATE INDEX run_targets_target ON run_targets (target);
  CREATE TABLE run_steps (
    run TEXT NOT NULL REFERENCES runs (id), position INTEGER NOT NULL, phase TEXT NOT NULL, step INTEGER NOT NULL,
    status TEXT NOT NULL, exit_status INTEGER, output TEXT, started_at INTEGER, ended_at INTEGER,
    PRIMARY KEY (run, position)
  );
  CREATE TABLE refusals (
    plan TEXT PRIMARY KEY, body TEXT NOT NULL, at INTEGER NOT NULL
  );
  CREATE TABLE blocks (
    playbook TEXT NOT NULL, target TEXT NOT NULL, host TEXT NOT NULL, run TEXT NOT NULL, reason TEXT NOT NULL,
    at INTEGER NOT NULL, PRIMARY KEY (playbook, target)
  );
  CREATE TABLE freeze (
    id INTEGER PRIMARY KEY CHECK (id = 1), body TEXT NOT NULL, effective_at INTEGER NOT NULL
  );
  `,
  `CREATE TABLE worker (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL);
   INSERT INTO worker (one, id) VALUES (1, lower(hex(randomblob(16))));`,
  `CREATE TABLE thaws (digest TEXT PRIMARY KEY, at INTEGER NOT NULL);
   CREATE TABLE orders (nonce TEXT PRIMARY KEY, expires_at INTEGER NOT NULL);
   CREATE TABLE run_resources (
     run TEXT NOT NULL REFERENCES runs (id), resource TEXT NOT NULL, PRIMARY KEY (run, resource)
   );
   CREATE INDEX run_resources_resource ON run_resources (resource);`,
  `CREATE TABLE approved_playbooks (digest TEXT PRIMARY KEY, at INTEGER NOT NULL);
   INSERT OR IGNORE INTO approved_playbooks (digest, at)
     SELECT json_extract(plans.body, '$.body.playbookDigest'), runs.claimed_at FROM runs JOIN plans ON plans.id = runs.plan
     WHERE json_extract(plans.body, '$.body.playbookDigest') IS NOT NULL;`,
];
