import { expect, test } from 'vitest';
import { until } from '../parts/until.ts';
import { patienceMs, type Play } from './play.ts';
import { story } from './stage.ts';

interface Member {
  host: string;
  role: 'root' | 'symptom';
  rule: string;
  why: string;
  summary: string;
  status: string;
}

interface Incident {
  id: string;
  title: string;
  members: Member[];
}

/** Everything at a pace that a test can wait for; what could not be looked at is a finding at once. */
const pace = { every: '2s', for: '2s', timeout: '2s', clearAfter: 1, unknownFor: '2s' };
const paths = 26;

story(
  'a host that goes away',
  (stage) => {
    test('with thirty checks on it is one message, whose symptoms say why they are silent, and one edit when it is back', async () => {
      const { address } = stage.host;
      const login = { units: ['shop-1.service'] };
      await using play = await stage.play({
        config: {
          checks: [
            { ...pace, id: 'web-reachable', kind: 'tcp', host: 'web', address, port: 22, condition: 'host-down' },
            { ...pace, ...login, id: 'units', kind: 'systemd-unit', host: 'web' },
            { ...pace, id: 'resources', kind: 'host-resources', host: 'web' },
            { ...pace, id: 'ssh', kind: 'tcp', host: 'web', address, port: 22 },
            { ...pace, id: 'http', kind: 'tcp', host: 'web', address, port: 80 },
            ...Array.from({ length: paths }, (_, index) => ({
              ...pace,
              id: `page-${index}`,
              kind: 'http',
              host: 'web',
              url: `http://${address}/page-${index}`,
              status: [404],
              giveUpAfter: '1s',
            })),
          ],
          triage: { groupWait: '10s' },
        },
      });
      await play.start();
      await stage.host.fault('cut');
      const incident = await incidentWith(play, 30);
      const [root, ...symptoms] = incident.members;
      expect(root).toMatchObject({ host: 'web', role: 'root', rule: 'unreachable-host' });
      expect(symptoms.length).toBeGreaterThanOrEqual(29);
      for (const symptom of symptoms) {
        expect(symptom).toMatchObject({
          role: 'symptom',
          rule: 'unreachable-host',
          why: 'it is on "web", and web does not answer',
        });
      }
      const text = (await play.lares.run('incidents', incident.id)).stdout;
      expect(text.match(/^ {2}symptom /gm)).toHaveLength(symptoms.length);
      expect(text.match(/^ {10}unreachable-host: /gm)).toHaveLength(symptoms.length + 1);

      const card = await onlyCard(play);
      expect(card.text).toMatch(/and \d+ more/);
      await stage.host.heal();
      await play.says(card, /\nresolved · /, 2 * patienceMs);
      expect(cardsOf(play)).toEqual([card]);
      expect(await play.openIncidents()).toEqual([]);
    });

    test('as the node of three guests is one message with the node as its root', async () => {
      const { host } = stage;
      const guests = ['mail', 'wiki', 'photos'];
      const addresses = guests.map((_, index) => host.address.replace(/\d+$/, String(201 + index)));
      await host.run(addresses.map((address) => `ip addr add ${address}/24 dev eth0`).join('\n'));
      const reachable = (name: string, address: string): object => {
        return { ...pace, id: `${name}-reachable`, kind: 'tcp', host: name, address, port: 22, condition: 'host-down' };
      };
      const placed = guests.map((name, index) => [name, { address: addresses[index], on: 'web' }] as const);
      await using play = await stage.play({
        config: {
          hosts: { web: { address: host.address }, ...Object.fromEntries(placed) },
          services: { letters: { on: 'mail' } },
          checks: [
            reachable('web', host.address),
            ...guests.map((name, index) => reachable(name, addresses[index] ?? '')),
            { ...pace, id: 'letters', kind: 'tcp', host: 'mail', service: 'letters', address: addresses[0], port: 22 },
          ],
          triage: { groupWait: '10s' },
        },
      });
      await play.start();
      await host.fault('cut');
      const incident = await incidentWith(play, 5);
      const [root, ...symptoms] = incident.members;
      expect(root).toMatchObject({ host: 'web', role: 'root', rule: 'unreachable-host' });
      expect(symptoms.map(({ rule }) => rule).toSorted((a, b) => a.localeCompare(b))).toEqual([
        'runs-on',
        'runs-on',
        'runs-on',
        'unreachable-host',
      ]);
      const card = await onlyCard(play);
      await host.heal();
      await play.says(card, /\nresolved · /, 2 * patienceMs);
      expect(cardsOf(play)).toEqual([card]);
    });
  },
  { services: true, units: ['nginx'] },
);

/** Waits until there is one incident and it holds so many findings. Its root comes first. */
async function incidentWith(play: Play, members: number): Promise<Incident> {
  let seen: Incident[] = [];
  const isThere = async (): Promise<boolean> => {
    const open = (await play.openIncidents()) as Incident[];
    seen = await Promise.all(open.map(({ id }) => whole(play, id)));
    return seen.length === 1 && (seen[0]?.members.length ?? 0) >= members;
  };
  await until(isThere, `one incident with ${members} findings`, 2 * patienceMs).catch((error: unknown) => {
    const lines = seen.map(({ title, members: { length } }) => `${title}: ${length}`);
    throw new Error(`There are\n${lines.join('\n')}\n${play.lares.output.slice(-3_000)}`, { cause: error });
  });
  const [incident] = seen;
  if (incident === undefined) throw new Error('There is no incident');
  return { ...incident, members: incident.members.toSorted((a, b) => a.role.localeCompare(b.role)) };
}

async function whole(play: Play, id: string): Promise<Incident> {
  return JSON.parse((await play.lares.run('incidents', id, '--json')).stdout) as Incident;
}

function cardsOf(play: Play) {
  return play.telegram.messages(play.anna.id).filter(({ text }) => /\n[\w-]+ · (?:warning|critical) · /.test(text));
}

async function onlyCard(play: Play) {
  await expect.poll(() => cardsOf(play).length, { timeout: patienceMs }).toBe(1);
  const [card] = cardsOf(play);
  if (card === undefined) throw new Error('The card vanished');
  return card;
}
