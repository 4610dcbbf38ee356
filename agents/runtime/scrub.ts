export function scrub(line: string): string {
  return line;
}
