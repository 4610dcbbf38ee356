import type { Observation } from '#agents/sentinel/check.ts';
import { fewAtOnce } from './few-at-once.ts';
import { called, callsAtOnce, onlineNodes, type ProxmoxLook } from './proxmox-look.ts';
import { ContainerPressures } from './proxmox-shapes.ts';
import { level, unseen } from './reading.ts';
import { remember, rememberedTexts } from './remembered.ts';

const condition = 'guest-memory-pressure';
/** The average of 10 s that is told swings: only what lasts is told. */
const holdMs = 600_000;

/**
 * How much of the time all processes of a container wait for memory. What it uses says less: the cache of its files counts
 * as used. Proxmox VE tells it from version 9 on; that its disks are busy, as with each backup, is no news.
 */
export async function observePressure(look: ProxmoxLook): Promise<Observation[]> {
  const running = look.guests.filter(({ type, status }) => type === 'lxc' && status === 'running');
  const guests = new Map(running.map((guest) => [guest.vmid, guest]));
  const nodes = onlineNodes(look).filter(({ name }) => running.some(({ node }) => node === name));
  const before = new Set(rememberedTexts(look.context.memory, 'pressures'));
  const telling = new Set<string>();
  const found = await fewAtOnce(nodes, callsAtOnce, async ({ name }) => {
    const answer = await look.api.get(ContainerPressures, `/nodes/${name}/lxc`);
    if (answer.is !== 'value') {
      if (!before.has(name)) return [];
      telling.add(name);
      return [unseen({ condition, resource: `${name} containers` }, answer.reason)];
    }
    return answer.value.flatMap(({ vmid, pressurememoryfull: share }) => {
      const guest = guests.get(vmid);
      if (guest === undefined || share === undefined) return [];
      telling.add(name);
      return [
        level({
          condition,
          resource: guest.title,
          labels: guest.labels,
          summary: `${called(guest)} waits for memory ${Math.round(share)} % of the time`,
          value: share,
          unit: '%',
          bad: 'above',
          warning: 10,
          holdMs,
        }),
      ];
    });
  });
  remember(look.context.memory, 'pressures', [...telling].toSorted());
  return found.flat();
}
