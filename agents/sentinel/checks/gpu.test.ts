import { describe, expect, test } from 'vitest';
import type { Observation } from '#agents/sentinel/check.ts';
import { xidsIn } from '#agents/sentinel/probes/gpu.ts';
import { checkContext } from '../../../test/parts/check-context.ts';
import { type FakeProgram, FakeCommands } from '../../../test/parts/fake-commands.ts';
import { kindContract } from '../../../test/parts/kind-contract.ts';
import { problems } from '../../../test/parts/problems.ts';
import { check } from './gpu.ts';

kindContract(check, () => ({}));

const card = '0, GPU-5f1c2d3e-0000-1111-2222-333344445555, NVIDIA GeForce RTX 3090, 61, 34, 20480, 24576, 182.33\n';
const fallen =
  '2026-11-20T10:00:01+0000 ai kernel: NVRM: Xid (PCI:0000:01:00): 79, pid=0, GPU has fallen off the bus.\n';

async function look(
  of: { smi: FakeProgram; kernel?: string; hint?: string },
  options: object = {},
): Promise<Observation[]> {
  const journalctl = { stdout: of.kernel ?? '', stderr: of.hint ?? '' };
  using fakes = new FakeCommands({ 'nvidia-smi': of.smi, journalctl });
  return await check.observe(check.options.parse(options), checkContext({ probe: fakes.probe }));
}

describe('cards', () => {
  test.each([
    ['Hint: You are currently not seeing messages from other users and the system.', 'group systemd-journal'],
    ['No journal files were found.', 'this host keeps no journal'],
  ])('whose errors the journal does not show are not free of them: %s', async (hint, reason) => {
    expect(problems(await look({ smi: { stdout: card }, hint }))).toEqual([expect.stringContaining(reason)]);
  });

  test('one that works is well; how full its memory is counts where it is asked for', async () => {
    expect(problems(await look({ smi: { stdout: card } }))).toEqual([]);
    const full = card.replace('20480', '24000');
    expect(problems(await look({ smi: { stdout: full } }))).toEqual([]);
    expect(problems(await look({ smi: { stdout: full } }, { memory: {} }))).toEqual([
      'warning gpu-memory-full: GPU 0 (NVIDIA GeForce RTX 3090) uses 24000 of 24576 MiB',
    ]);
  });

  test('a hot one is told, and one that tells no temperature is not', async () => {
    expect(problems(await look({ smi: { stdout: card.replace(' 61,', ' 88,') } })).join()).toMatch(
      /^warning gpu-hot: .* 88 °C/,
    );
    expect(problems(await look({ smi: { stdout: card.replace(' 61,', ' [N/A],') } }))).toEqual([]);
  });

  test.each([
    [{ stdout: 'Unable to determine the device handle for GPU 0000:01:00.0: Unknown Error\n', code: 0 }],
    [{ stdout: "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", code: 9 }],
    [{ stdout: 'No devices were found\n', code: 6 }],
  ])('%j is a missing card', async (smi) => {
    expect(problems(await look({ smi }))).toEqual([
      expect.stringMatching(/^critical gpu-missing: 0 cards of 1 or more/),
    ]);
  });

  test('fewer than wanted', async () => {
    expect(problems(await look({ smi: { stdout: card } }, { count: 2 }))).toEqual([
      'critical gpu-missing: 1 card of 2 or more answers',
    ]);
  });

  test('an error of the driver is critical; one that a program made itself is information', async () => {
    expect(problems(await look({ smi: { stdout: card }, kernel: fallen }))).toEqual([
      expect.stringMatching(
        /^critical gpu-error: 1 error of the driver within 30 minutes, the last Xid 79: .*fallen off/,
      ),
    ]);
    expect(xidsIn([fallen.replace(' 79,', ' 31,')])).toMatchObject([{ xid: '31', isHarmless: true }]);
  });

  test('a host without the tool is unknown', async () => {
    const found = await check.observe(check.options.parse({}), checkContext());
    expect(problems(found)).toEqual(['unknown gpu-missing GPUs: "nvidia-smi" is not installed']);
  });
});
