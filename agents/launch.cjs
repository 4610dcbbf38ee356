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

// glibc reads these once, when a process starts. One arena for all threads, and what is freed given back: 12 MB less.
var allocator = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072' };

function withAllocator(env) {
  return Object.assign({}, allocator, env);
}

function reexecute(node, argv) {
  var env = withAllocator(process.env);
  env.PATH = path.dirname(node) + path.delimiter + (env.PATH || '');
  var child = childProcess.spawn(node, [__filename].concat(argv), { stdio: 'inherit', env: env });
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
// Node's compile cache would do it too, but holds a copy of all that it read: 6 MB, for 50 ms of the start.
function stripOnce() {
  require('module').registerHooks({
    load: function (url, context, next) {
      if (!/^file:.*\.ts$/.test(url)) return next(url, context);
      return { format: 'module', source: stripped(require('url').fileURLToPath(url)), shortCircuit: true };
    },
  });
}

var installation = path.join(root, 'node_modules', '.cache', 'lares');

// Not every user has a home, and what is kept below a working directory may be anybody's.
function foldersToKeep() {
  try {
    var home = require('os').homedir();
    if (path.isAbsolute(home)) return [installation, path.join(home, '.cache', 'lares')];
  } catch (error) {
    if (error.code === undefined) throw error;
  }
  return [installation];
}

function stripped(file) {
  var source = fs.readFileSync(file, 'utf8');
  var name = sha256(process.version + source) + '.js';
  var folders = foldersToKeep();
  for (var index = 0; index < folders.length; index += 1) {
    var known = kept(folders[index], name);
    if (known !== undefined) return known;
  }
  var text = strip(source);
  text += seal(name, text);
  folders.some(function (folder) {
    return keep(folder, name, text);
  });
  return text;
}

// What is kept is run: it counts when nobody else can have written it and it is whole. A power cut leaves empty files.
function kept(folder, name) {
  var descriptor;
  try {
    descriptor = fs.openSync(path.join(folder, name), 'r');
    if (!isOurs(fs.fstatSync(descriptor))) return undefined;
    var text = fs.readFileSync(descriptor, 'utf8');
    return text.endsWith(seal(name, text.slice(0, -sealLength))) ? text : undefined;
  } catch (error) {
    if (error.code === undefined) throw error;
    return undefined;
  } finally {
    if (descriptor !== undefined) fs.closeSync(descriptor);
  }
}

// Of root, of who runs this, or of who owns this program and could change it too.
function isOurs(stats) {
  if (!process.getuid) return true;
  var owners = [0, process.getuid(), fs.statSync(__filename).uid];
  return owners.indexOf(stats.uid) !== -1 && (stats.mode & parseInt('022', 8)) === 0;
}

var sealLength = '\n//'.length + 64;

// At the end, where it moves no line. With the name, so that no file takes the place of another.
function seal(name, text) {
  return '\n//' + sha256(name + text);
}

function sha256(text) {
  return require('crypto').hash('sha256', text);
}

// Node calls the function experimental, but not that it does the same by itself with each .ts file.
function strip(source) {
  var warn = process.emitWarning;
  process.emitWarning = function () {};
  try {
    return require('module').stripTypeScriptTypes(source);
  } finally {
    process.emitWarning = warn;
  }
}

// False when it cannot be kept there. Renamed into place, so that nobody reads half of it.
function keep(folder, name, text) {
  var unfinished = path.join(folder, name + '.' + require('crypto').randomBytes(6).toString('hex'));
  try {
    [path.dirname(folder), folder].forEach(makeFolder);
    fs.writeFileSync(unfinished, text, { flag: 'wx', mode: parseInt('644', 8) });
    fs.renameSync(unfinished, path.join(folder, name));
    return true;
  } catch (error) {
    if (error.code === undefined) throw error;
    return false;
  }
}

// Below a folder that is there: no home is made for a user who has none.
function makeFolder(folder) {
  try {
    fs.mkdirSync(folder);
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
}

// Left alone, the young generation grows to 64 MB in the first second and stays so. 1 MB costs no CPU that shows.
function staySmall() {
  require('v8').setFlagsFromString('--semi-space-growth-factor=1');
}

// The first start then finds every module stripped.
function warm() {
  fs.rmSync(installation, { recursive: true, force: true });
  ['agents', 'bus', 'config', 'playbooks', 'skills'].forEach(function (folder) {
    fs.globSync(path.join(root, folder, '**', '*.ts')).forEach(function (file) {
      if (!file.endsWith('.test.ts')) stripped(file);
    });
  });
}

function runHere(argv) {
  var line = commandLine(argv);
  process.argv = [process.execPath].concat(line);
  if (argv[0] !== '--tool') stripOnce();
  if (argv[0] !== '--tool' && argv[0] !== '--script') staySmall();
  import(require('url').pathToFileURL(line[0]).href).catch(function (error) {
    process.stderr.write(String((error && error.stack) || error) + '\n');
    process.exitCode = 1;
  });
}

// The same process, begun anew: who started it keeps its id.
function startAgain(argv) {
  var line = [process.execPath].concat(process.execArgv, __filename, argv);
  process.execve(process.execPath, line, withAllocator(process.env));
}

function main(argv) {
  var node = isNewEnough(process.versions.node) ? process.execPath : bundledNode();
  if (argv[0] === '--link') {
    link();
    if (node) childProcess.spawnSync(node, [__filename, '--warm'], { stdio: 'ignore' });
    return;
  }
  if (argv[0] === '--warm') return warm();
  if (node === process.execPath) {
    var isTool = argv[0] === '--tool' || argv[0] === '--script';
    if (isTool || process.env.MALLOC_ARENA_MAX !== undefined || !process.execve) return runHere(argv);
    return startAgain(argv);
  }
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
