import type { CommandRunner } from '#agents/runtime/command.ts';
import { readCommand } from './command-reading.ts';
import { type Container, parseContainer } from './containers.ts';
import { parseImage } from './container-images.ts';
import { type ContainerList, type Docker, logLines, maximumContainers, permissionHint } from './docker.ts';
import { splitSections } from './sections.ts';
import { jsonOf, oneLine } from './text.ts';

/**
 * Only the fields that are read: health logs and environments would be megabytes, and hold secrets. `.ID` and not the
 * `.Id` of the API: with a name that its structs lack, `docker inspect` falls back to plain maps, where asking for a
 * missing `Health` is an error.
 */
const template = [
  '{"Id":{{json .ID}},"Image":{{json .Image}},"Name":{{json .Name}},"RestartCount":{{json .RestartCount}}',
  '"State":{"Status":{{json .State.Status}},"Restarting":{{json .State.Restarting}}',
  '"OOMKilled":{{json .State.OOMKilled}},"ExitCode":{{json .State.ExitCode}},"Error":{{json .State.Error}}',
  '"Health":{{if .State.Health}}{"Status":{{json .State.Health.Status}}}{{else}}null{{end}}}',
  '"HostConfig":{"RestartPolicy":{{json .HostConfig.RestartPolicy}}}',
  '"Config":{"Image":{{json .Config.Image}},"Tty":{{json .Config.Tty}}',
  '"Labels":{"com.nodetool.managed":{{json (index .Config.Labels "com.nodetool.managed")}}}}}',
].join(',');

const imageTemplate = '{"Id":{{json .ID}},"Created":{{json .Created}}}';

/** An engine of an ordinary user is used where none of the system is, or the one at the socket that was named. */
const chooseEngine = String.raw`
[ -n "$1" ] && export DOCKER_HOST="unix://$1"
[ -z "$DOCKER_HOST" ] && ! [ -e /var/run/docker.sock ] && [ -S "/run/user/$(id -u)/docker.sock" ] &&
  export DOCKER_HOST="unix:///run/user/$(id -u)/docker.sock"
shift
`;
const runScript = `${chooseEngine}exec docker "$@"`;

/** Ids are hex digits that Docker made; the list and its details come from one command. */
const listScript = String.raw`${chooseEngine}
export LC_ALL=C
part() { name=$1; shift; echo; echo "@@$name"; "$@"; code=$?; echo; echo "@@end $name $code"; }
command -v docker >/dev/null 2>&1 || { part absent true; exit 0; }
ids=$(docker ps -aq --no-trunc) || {
  [ -z "$DOCKER_HOST" ] && ! [ -e /var/run/docker.sock ] && part absent true
  part failed true
  exit 0
}
if [ -n "$ids" ]; then part containers docker inspect --type container --format "$1" $ids; else part containers true; fi
exit 0
`;

const timeoutMs = 30_000;
const maximumOutputBytes = 1_048_576;

/** The `docker` command of a host, where only commands reach it. */
export function dockerCommand(probe: CommandRunner, socketPath = ''): Docker {
  const docker = (args: readonly string[]): string[] => ['sh', '-c', runScript, 'sh', socketPath, ...args];
  return {
    async list(signal) {
      const end = await probe.run(['sh', '-c', listScript, 'sh', socketPath, template], {
        timeoutMs,
        signal,
        maximumOutputBytes,
      });
      const answer = readCommand(end);
      if (!answer.ok) return { is: 'unknown', reason: answer.reason };
      const stderr = end.end === 'exited' ? end.output.stderr : '';
      return listedIn(answer.text, stderr);
    },
    async logs(container, signal) {
      const argv = docker(['logs', '--timestamps', '--tail', String(logLines), '--', container.name]);
      const end = await probe.run(argv, { timeoutMs: 10_000, signal });
      if (end.end !== 'exited' || end.code !== 0) return [];
      // Both streams begin with the time: sorted, they are one.
      return `${end.output.stdout}\n${end.output.stderr}`.split('\n').toSorted();
    },
    async builtAt(ids, signal) {
      if (ids.length === 0) return new Map();
      const argv = docker(['inspect', '--type', 'image', '--format', imageTemplate, '--', ...ids]);
      const end = await probe.run(argv, { timeoutMs: 10_000, signal, maximumOutputBytes });
      if (end.end !== 'exited') return new Map();
      const images = end.output.stdout.split('\n').map((line) => parseImage(jsonOf(line)));
      return new Map(images.flatMap((image) => (image === undefined ? [] : [[image.id, image.builtAt]])));
    },
  };
}

function listedIn(text: string, stderr: string): ContainerList {
  const sections = splitSections(text);
  if (sections.has('absent')) return { is: 'absent' };
  const section = sections.get('containers');
  if (section === undefined) return { is: 'unknown', reason: refusal(stderr) };
  const containers: Container[] = [];
  for (const line of section.text.split('\n').slice(0, maximumContainers * 2)) {
    const container = line.startsWith('{') ? parseContainer(jsonOf(line)) : undefined;
    if (container !== undefined) containers.push(container);
  }
  // One that was removed since the list was made ends the command with 1 and harms no other.
  const isRace = /No such (?:object|container)/i.test(stderr);
  if (section.code !== 0 && !isRace) return { is: 'unknown', reason: refusal(stderr) };
  return { is: 'listed', containers: containers.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
}

function refusal(stderr: string): string {
  if (/permission denied/i.test(stderr)) return permissionHint;
  const said = oneLine(stderr, 200);
  return said === '' ? '"docker" did not answer' : `"docker" did not answer: ${said}`;
}
