/** What a Node process costs that does nothing. */
setInterval(() => undefined, 1_000_000);
process.stdout.write('{}\n');
