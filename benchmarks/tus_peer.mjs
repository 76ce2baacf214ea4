// Owns: the peer of the tus benchmark: node tus_peer.mjs FOLDER-OF-MODULES PORT FOLDER serves tus 1.0.0 at /v1/tus with @tus/server and
// @tus/file-store, which never syncs.
// Must not know: what is measured.
import path from "node:path";
import { pathToFileURL } from "node:url";

const [modules, port, directory] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(path.join(modules, "node_modules", "@tus", name, "dist", "index.js")));
const { Server } = await load("server");
const { FileStore } = await load("file-store");

new Server({ path: "/v1/tus", datastore: new FileStore({ directory }) }).listen({ host: "127.0.0.1", port: Number(port) });
