import { startBroker } from '#bus/broker.ts';
import { credentials, silentLog, site } from './broker.ts';

const [folder = '', port = '0'] = process.argv.slice(2);
const broker = await startBroker({ site, folder, port: Number(port), credentials, log: silentLog });
process.send?.({ port: broker.port });
process.on('disconnect', () => process.exit());
