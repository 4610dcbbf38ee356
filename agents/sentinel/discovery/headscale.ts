import { z } from 'zod';
import { SecretRef } from '#config/schema.ts';
import { type Discovered, defineSource, type Thing } from '../inventory/source.ts';
import { apiOptions, createApi, secretHeaders } from '../probes/api.ts';

const Node = z.object({
  id: z.coerce.string(),
  name: z.string().default(''),
  givenName: z.string().default(''),
  ipAddresses: z.array(z.string()).nullish(),
  user: z.object({ name: z.string() }).nullish(),
  tags: z.array(z.string()).nullish(),
});
type Node = z.output<typeof Node>;
const Nodes = z.object({ nodes: z.array(Node).max(5_000).nullable() });

export const source = defineSource({
  source: 'headscale',
  about: 'Machines of a Headscale network. Needs an API key, which expires.',
  options: z.object({ ...apiOptions, token: SecretRef.describe('API key of `headscale apikeys create`.') }),
  async discover(options, context): Promise<Discovered> {
    const headers = secretHeaders(options.token, context);
    if (typeof headers === 'string') return { is: 'silent', reason: headers };
    const answer = await createApi(options, context).json(Nodes, { path: '/api/v1/node', headers });
    if (answer.is !== 'value') return { is: 'silent', reason: answer.reason };
    return { is: 'answered', things: (answer.value.nodes ?? []).map(thingOf), notes: [] };
  },
});

/** The address in the tailnet is another network's: it is a label and says nothing against the address at home. */
function thingOf(node: Node): Thing {
  const labels = {
    ...(node.ipAddresses?.[0] !== undefined && { tailnet: node.ipAddresses[0].slice(0, 100) }),
    ...(node.user != null && { tailnet_user: node.user.name.slice(0, 100) }),
    ...(node.tags != null && node.tags.length > 0 && { tags: node.tags.join(',').slice(0, 200) }),
  };
  const name = node.givenName === '' ? node.name : node.givenName;
  return { id: node.id, name: name === '' ? `node-${node.id}` : name, type: 'machine', labels };
}
