const headerBytes = 8;

/**
 * Text of Docker's log stream. Without a terminal each piece has a header of 8 bytes: stream (0 to 2), three zeros, the
 * length as a big-endian number. What is no header is taken as plain text, and a last piece that was cut is kept.
 */
export function deframe(bytes: Buffer): string {
  const pieces: Buffer[] = [];
  let at = 0;
  while (at + headerBytes <= bytes.length) {
    if (!isHeader(bytes, at)) return at === 0 ? bytes.toString('utf8') : text(pieces);
    const length = bytes.readUInt32BE(at + 4);
    pieces.push(bytes.subarray(at + headerBytes, at + headerBytes + length));
    at += headerBytes + length;
  }
  return pieces.length === 0 ? bytes.toString('utf8') : text(pieces);
}

function text(pieces: readonly Buffer[]): string {
  return Buffer.concat(pieces).toString('utf8');
}

function isHeader(bytes: Buffer, at: number): boolean {
  return (bytes[at] ?? 255) <= 2 && bytes[at + 1] === 0 && bytes[at + 2] === 0 && bytes[at + 3] === 0;
}
