/** `+0130` of `date +%z` in ms east of UTC; what is none counts as UTC. */
export function zoneOffsetMs(text: string): number {
  const match = /^([+-])(\d{2})(\d{2})$/.exec(text.trim());
  if (match === null) return 0;
  const minutes = Number(match[2]) * 60 + Number(match[3]);
  return (match[1] === '-' ? -minutes : minutes) * 60_000;
}
