// What the Mini Program SDK's postObject gives wx.uploadFile: the form that a Mini Program sends, as JSON on stdout.
'use strict';
globalThis.wx = {
  getFileSystemManager: () => ({}),
  canIUse: () => false,
  getSystemInfoSync: () => ({}),
  uploadFile: (sent) => {
    process.stdout.write(JSON.stringify({ url: sent.url, name: sent.name, header: sent.header, formData: sent.formData }));
    process.exit(0);
  },
};
const COS = require('cos-wx-sdk-v5/index.js');
console.error = console.warn = () => {};
const [options, parameters] = process.argv.slice(2).map((text) => JSON.parse(text));
new COS(options).postObject(parameters, (error) => {
  process.stdout.write(JSON.stringify({ error: String(error && (error.message || error.error)) }));
  process.exit(0);
});
