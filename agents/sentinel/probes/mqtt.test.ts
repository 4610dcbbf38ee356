import { expect, test } from 'vitest';
import { startTcpTarget } from '../../../test/parts/tcp-target.ts';
import { until } from '../../../test/parts/until.ts';
import { MqttConversation } from './mqtt.ts';

/** CONNACK, accepted; then a PUBLISH at QoS 0 that says it has 256 MB. */
const connack = Buffer.from([0x20, 2, 0, 0]);
const endless = Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 0x61]);

test('a broker that sends a message without end is hung up on', async () => {
  let sent = 0;
  const chunk = Buffer.alloc(1_048_576);
  await using target = await startTcpTarget((socket) => {
    const flood = (): void => {
      while (!socket.destroyed && sent < 200) {
        sent += 1;
        if (!socket.write(chunk)) return;
      }
    };
    socket.once('data', () => {
      socket.write(Buffer.concat([connack, endless]));
      socket.on('drain', flood);
      flood();
    });
  });
  const stopping = new AbortController();
  const url = `mqtt://127.0.0.1:${target.port}`;
  const conversation = await MqttConversation.open({ url, verify: true }, { signal: stopping.signal });
  await until(() => !conversation.isOpen, 'the connection to end');
  expect(sent).toBeLessThan(100);
  stopping.abort();
});
