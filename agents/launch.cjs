#!/usr/bin/env node
'use strict';
// Old syntax on purpose: this file must parse on any Node, because its job is to find the right one.
// Lares needs type stripping and `using`; Node 24.15 is the first release with both stable.
var fs = require('fs');
var path = require('path');
var childProcess = require('child_process');

var root = path.join(__dirname, '..');
var minimum = [24, 15];

function isNewEnough(version) {
  var parts = version.split('.').map(Number);
  return parts[0] > minimum[0] || (parts[0] === minimum[0] && parts[1] >= minimum[1]);
}

function bundledNode() {
  try {
    var name = 'node-' + process.platform + '-' + process.arch;
    var file = path.join(path.dirname(require.resolve(name + '/package.json')), 'bin', 'node');
    return fs.existsSync(file) ? file : undefined;
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

// npm 10 drops node_modules/.bin/node when the other platform's package is skipped; put it back.
function link() {
  var node = bundledNode();
  var directory = path.join(root, 'node_modules', '.bin');
  var target = path.join(directory, 'node');
  if (!node || !fs.existsSync(directory) || fs.existsSync(target)) return;
  fs.rmSync(target, { force: true });
  fs.symlinkSync(path.relative(directory, node), target);
}

// A tool from node_modules, by its package name or the name of its command.
function toolPath(name) {
  return fs.realpathSync(path.join(root, 'node_modules', '.bin', name));
}

function commandLine(argv) {
  if (argv[0] === '--tool') return [toolPath(argv[1])].concat(argv.slice(2));
  if (argv[0] === '--script') return [path.resolve(root, argv[1])].concat(argv.slice(2));
  return [path.join(__dirname, 'main.ts')].concat(argv);
}

function reexecute(node, argv) {
  var env = Object.assign({}, process.env);
  env.PATH = path.dirname(node) + path.delimiter + (env.PATH || '');
  var child = childProcess.spawn(node, commandLine(argv), { stdio: 'inherit', env: env });
  ['SIGINT', 'SIGTERM', 'SIGHUP'].forEach(function (signal) {
    process.on(signal, function () {
      // A terminal sends Ctrl-C to the whole group, so the child has it already.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  });
  child.on('exit', function (code, signal) {
    if (signal) {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    } else {
      process.exitCode = code;
    }
  });
}

// Types are stripped once and kept: doing it at each start takes half a second and, as long as the process lives, 22 MB.
// Never in a folder where others may write: what is kept there is run.
function keepCompiled() {
  var enable = require('module').enableCompileCache;
  var home = path.join(require('os').homedir(), '.cache', 'lares');
  if (enable(path.join(root, 'node_modules', '.cache', 'lares')).status === 0) enable(home);
}

// Left alone, the young generation grows to 64 MB in the first second and stays so. 1 MB costs no CPU that shows.
function staySmall() {
  require('v8').setFlagsFromString('--semi-space-growth-factor=1');
}

// Loads every module once, so that the first start finds them stripped and compiled.
function warm() {
  staySmall();
  keepCompiled();
  var load = function (file) {
    return import(require('url').pathToFileURL(file).href);
  };
  var main = path.join(__dirname, 'main.ts');
  var modules = ['agents', 'bus', 'config', 'playbooks', 'skills'].flatMap(function (folder) {
    return fs.globSync(path.join(root, folder, '**', '*.ts')).filter(function (file) {
      return !file.endsWith('.test.ts') && file !== main;
    });
  });
  process.argv = [process.execPath, main, '--version'];
  void Promise.allSettled(modules.map(load)).then(function () {
    return load(main);
  });
}

function runHere(argv) {
  var line = commandLine(argv);
  process.argv = [process.execPath].concat(line);
  if (argv[0] !== '--tool' && argv[0] !== '--script') staySmall();
  keepCompiled();
  import(require('url').pathToFileURL(line[0]).href).catch(function (error) {
    process.stderr.write(String((error && error.stack) || error) + '\n');
    process.exitCode = 1;
  });
}

function main(argv) {
  var node = isNewEnough(process.versions.node) ? process.execPath : bundledNode();
  if (argv[0] === '--link') {
    link();
    if (node) childProcess.spawnSync(node, [__filename, '--warm'], { stdio: 'ignore' });
    return;
  }
  if (argv[0] === '--warm') return warm();
  if (node === process.execPath) return runHere(argv);
  if (node) return reexecute(node, argv);
  process.stderr.write(
    'Lares needs Node.js >= ' +
      minimum.join('.') +
      '; this is ' +
      process.version +
      ' and no bundled Node fits ' +
      process.platform +
      '-' +
      process.arch +
      '\n',
  );
  process.exitCode = 1;
}

main(process.argv.slice(2));
