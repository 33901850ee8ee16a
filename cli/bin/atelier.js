#!/usr/bin/env node
// The command as it is installed. All it knows is what to say where nothing has been built yet.
const { existsSync } = require('node:fs');
const { join, resolve } = require('node:path');

const main = join(__dirname, '..', 'dist', 'main.js');
const unbuilt = (why) => {
  process.stderr.write(`atelier: ${why}: run "npm run setup" in ${resolve(__dirname, '..', '..')}\n`);
  process.exit(1);
};
if (!existsSync(main)) unbuilt('it is not built yet');
try {
  require(main).start(process.argv.slice(2));
} catch (error) {
  if (error.code !== 'MODULE_NOT_FOUND') throw error;
  unbuilt(`a part of it is missing (${error.message.split('\n')[0]})`);
}
