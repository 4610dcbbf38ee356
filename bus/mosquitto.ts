import { maximumMessageBytes } from './message.ts';

interface MosquittoPaths {
  port: number;
  /** As `mosquittoAcl` writes it. */
  aclFile: string;
  /** As `mosquitto_passwd` writes it. */
  passwordFile: string;
  /** Ends in a slash. */
  dataFolder: string;
}

export const shippedPaths: MosquittoPaths = {
  port: 1883,
  aclFile: '/etc/mosquitto/lares.acl',
  passwordFile: '/etc/mosquitto/lares.passwd',
  dataFolder: '/var/lib/mosquitto/',
};

/** A `mosquitto.conf` under which Mosquitto loses as little as it can. */
export function mosquittoConf({ port, aclFile, passwordFile, dataFolder }: MosquittoPaths): string {
  return `# Mosquitto for Lares. Written by a generator: do not edit by hand.
# Loopback only. Beyond it: another "listener" with "certfile", "keyfile" and "cafile".
listener ${port} 127.0.0.1
allow_anonymous false
password_file ${passwordFile}
acl_file ${aclFile}

# With the defaults a killed Mosquitto loses every queued and retained message. So it saves after each change, at the
# latest after one second.
persistence true
persistence_location ${dataFolder}
autosave_on_changes true
autosave_interval 1
persistent_client_expiration 14d

# The default of 1000 drops acknowledged messages even while the subscriber is online.
max_queued_messages 10000
max_queued_bytes 33554432
max_inflight_messages 100
message_size_limit ${maximumMessageBytes}

# Nagle's algorithm costs 40 ms a message.
set_tcp_nodelay true
`;
}
