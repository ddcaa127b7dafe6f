// Drives the three SDKs: reads one request a line (JSON) on stdin, writes what each SDK answers a line on stdout.
// A request: {"call": "getAuthorization" | "getAuth" | "getObjectUrl", "now": milliseconds, "options", "parameters"}.
'use strict';
const readline = require('readline');

// What the Mini Program's own runtime provides and signing never calls.
globalThis.wx = {
  getFileSystemManager: () => ({}),
  canIUse: () => false,
  getSystemInfoSync: () => ({}),
};

const sdks = {
  wx: require('cos-wx-sdk-v5/index.js'),
  js: require('cos-js-sdk-v5'),
  node: require('cos-nodejs-sdk-v5'),
};
console.error = console.warn = () => {};

function ask(COS, { call, options, parameters }) {
  const copy = JSON.parse(JSON.stringify(parameters));
  try {
    if (call === 'getAuthorization') return COS.getAuthorization(copy) ?? { error: 'undefined' };
    const cos = new COS(JSON.parse(JSON.stringify(options)));
    if (call === 'getAuth') return cos.getAuth(copy) ?? { error: 'undefined' };
    let answer;
    const now = globalThis.setTimeout;
    globalThis.setTimeout = (run) => run();
    try {
      cos.getObjectUrl(copy, (err, data) => {
        answer = err ? { error: String(err.message || err.error) } : data.Url;
      });
    } finally {
      globalThis.setTimeout = now;
    }
    return answer;
  } catch (error) {
    return { error: String(error.message) };
  }
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const request = JSON.parse(line);
  Date.now = () => request.now;
  const answers = {};
  for (const name in sdks) answers[name] = ask(sdks[name], request);
  process.stdout.write(JSON.stringify(answers) + '\n');
});
