// Compiles one plugin: `node componentize.mjs SOURCE WIT_FOLDER WORLD OUTPUT`.
import { writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";

const [sourcePath, witPath, worldName, output] = process.argv.slice(2);

// Plugins have no WASI: the parts of the engine that would import it are left out.
const disableFeatures = ["clocks", "fetch-event", "http", "random", "stdio"];

try {
  const { component } = await componentize({ sourcePath, witPath, worldName, disableFeatures });
  await writeFile(output, component);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
