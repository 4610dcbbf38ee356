import type { Plan } from '#bus/messages/plan.ts';
import type { Run } from '#bus/messages/run.ts';
import type { Lares } from '../parts/lares.ts';

export interface Asked {
  plan: Plan;
  /** Absent when there was nothing to approve. */
  run?: Run;
}

/** What a person does in a terminal on host `web`: `lares plan`, then `lares run --approve` with the digest that was shown. */
export async function approveAsked(lares: Lares, playbook: string, parameters: readonly string[]): Promise<Asked> {
  const what = [playbook, '--host', 'web', ...parameters.flatMap((one) => ['-p', one]), '--json'];
  const plan = JSON.parse((await lares.run('plan', ...what)).stdout) as Plan;
  if (plan.status !== 'pending') return { plan };
  const { stdout, stderr } = await lares.run('run', ...what, '--approve', plan.digest ?? '');
  const { run, error } = JSON.parse(stdout) as { run?: Run; error?: string };
  if (run === undefined) throw new Error(`Nothing ran: ${error ?? stderr}`);
  return { plan, run };
}
