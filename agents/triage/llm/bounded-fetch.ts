import { Failure } from '#bus/failure.ts';

/** An assessment is a few kilobytes; an endpoint that sends more than this is not answering the question. */
const maximumAnswerBytes = 2_000_000;

/** Node's own fetch gives up on headers and on a silent body after this time, whatever the caller allows. */
const nodeFetchMs = 300_000;

type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/**
 * A `fetch` for the SDKs, which read bodies whole: answers end with an error beyond 2 MB. A slow local model may take
 * longer than Node's own fetch allows; only then undici itself is loaded, with its limits off. Both its `fetch` and its
 * `Agent` are needed: the agent of one version does not serve the fetch of another.
 */
export async function boundedFetch(timeoutMs: number): Promise<Fetch> {
  const plain = timeoutMs < nodeFetchMs ? fetch : await patientFetch();
  return async (input, init) => bounded(await plain(input, init));
}

async function patientFetch(): Promise<Fetch> {
  const undici = await import('undici');
  const dispatcher = new undici.Agent({ headersTimeout: 0, bodyTimeout: 0 });
  const patient = undici.fetch as unknown as (input: unknown, init: unknown) => Promise<Response>;
  return (input, init) => patient(input, { ...init, dispatcher });
}

function bounded(response: Response): Response {
  if (response.body === null) return response;
  let sizeBytes = 0;
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes <= maximumAnswerBytes) controller.enqueue(chunk);
      else controller.error(new Failure('Cannot read an answer: it is too large', { recoverable: true }));
    },
  });
  const { status, statusText, headers } = response;
  return new Response(response.body.pipeThrough(counter), { status, statusText, headers });
}
