// Owns: what the tests' web page can do with Uppy: sending a file of random bytes over tus or straight to an S3 server.
// Must not know: what the server makes of it. script: esbuild puts it and Uppy into one file for the browser.
import Uppy from "@uppy/core";
import AwsS3 from "@uppy/aws-s3";
import Tus from "@uppy/tus";
// The release before, with the core that belongs to it; its package has no compiled entry.
import OldAwsS3 from "@uppy/aws-s3-multipart/src/index.ts";
import OldUppy from "@uppy/aws-s3-multipart/node_modules/@uppy/core";

function randomBytes(size) {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65536, size)));
  return bytes;
}

async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// The promise of {sha256, uploadURL, error, progress}; `prepare` gets the uppy before it begins.
async function send(plugin, options, { size, name, type, meta = {} }, prepare, Core = Uppy) {
  const bytes = randomBytes(size);
  const uppy = new Core({ meta }).use(plugin, options);
  const progress = [];
  window.uppy = uppy;
  uppy.on("upload-progress", (file, at) => progress.push(at.bytesUploaded));
  prepare?.(uppy);
  uppy.addFile({ name, type, data: new Blob([bytes], { type }) });
  const { successful, failed } = await uppy.upload();
  return {
    sha256: await sha256(bytes),
    uploadURL: successful[0]?.uploadURL ?? null,
    body: successful[0]?.response?.body ?? null,
    error: failed[0]?.error ?? null,
    progress: progress.length,
    most: Math.max(0, ...progress),
  };
}

window.sendOverTus = async (endpoint, file) => {
  const requests = [];
  const done = await send(Tus, { endpoint, onBeforeRequest: (request) => { requests.push(request.getMethod()); } }, file);
  return { ...done, requests };
};

// at: what is done when the first part is there: "pause" (and go on), "remove", or nothing.
window.sendToS3 = (companionEndpoint, file, at, options = {}) =>
  send(AwsS3, { companionEndpoint, shouldUseMultipart: true, ...options }, file, (uppy) => {
    uppy.once("s3-multipart:part-uploaded", (sent) => {
      if (at === "pause") {
        uppy.pauseAll();
        setTimeout(() => uppy.resumeAll(), 50);
      } else if (at === "remove") {
        uppy.removeFile(sent.id);
      }
    });
  });

window.sendToS3AsBefore = (endpoint, file, options = {}) => send(OldAwsS3, { endpoint, ...options }, file, null, OldUppy);
