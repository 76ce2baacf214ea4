// Owns: one upload by tus-js-client: node tus_upload.cjs FOLDER-OF-MODULES ENDPOINT FILE OPTIONS-AS-JSON. Prints {url, requests}.
// Must not know: what the server makes of it.
const fs = require("node:fs");
const path = require("node:path");
const { PassThrough } = require("node:stream");

const [modules, endpoint, file, text] = process.argv.slice(2);
const tus = require(path.join(modules, "node_modules", "tus-js-client"));
const { stream, terminate, ...options } = JSON.parse(text);
const requests = [];
const bytes = fs.createReadStream(file);
// A file that is read has a length, and tus-js-client (4.3.1) then announces too much for the last request.
const upload = new tus.Upload(stream ? bytes.pipe(new PassThrough()) : bytes, {
  endpoint,
  uploadSize: stream || options.parallelUploads ? undefined : fs.statSync(file).size,
  metadata: { filename: "ä name.txt", filetype: "text/plain" },
  retryDelays: Array(60).fill(100),
  onBeforeRequest: (request) => { requests.push(request.getMethod()); },
  onError: (error) => { console.error(String(error)); process.exit(1); },
  onChunkComplete: async () => {
    if (!terminate) return;
    await upload.abort(true);
    console.log(JSON.stringify({ url: upload.url, requests }));
    process.exit(0);
  },
  onSuccess: () => console.log(JSON.stringify({ url: upload.url, requests })),
  ...options,
});
upload.start();
