// What a developer writes: an SDK whose getAuthorization or getSTS callback asks the gateway, and a round of calls.
// Node.js: reads the settings (JSON) on stdin, writes what each call told (JSON) on stdout. A page calls `run` itself.
'use strict';

async function run(COS, settings, post) {
  const { gateway, token, bucket, region, domain, way, prefix } = settings;
  const headers = { Authorization: 'Bearer ' + token, 'Content-Type': 'application/json' };
  const told = {};
  const options = { Domain: domain, Protocol: 'http:', AutoSwitchHost: false, ...settings.options };
  if (way === 'authorization') {
    options.getAuthorization = (asked, callback) => post(gateway + '/sdk/authorization', headers, asked, callback);
  } else if (way === 'documentation') { // as its samples read the answer of a server
    options.getAuthorization = (asked, callback) =>
      post(gateway + '/sdk/credentials', headers, asked, ({ credentials, startTime, expiredTime }) =>
        callback({
          TmpSecretId: credentials.tmpSecretId,
          TmpSecretKey: credentials.tmpSecretKey,
          SecurityToken: credentials.sessionToken,
          StartTime: startTime,
          ExpiredTime: expiredTime,
        })
      );
  } else {
    options.getSTS = (asked, callback) => post(gateway + '/sdk/credentials', headers, asked, callback);
  }
  const cos = new COS(options);
  const call = (name, parameters) =>
    new Promise((resolve) =>
      cos[name]({ Bucket: bucket, Region: region, ...parameters }, (error, data) => resolve(error ? { error } : data))
    );
  const attempt = async (name, f) => {
    try {
      told[name] = await f();
    } catch (error) {
      told[name] = 'failed: ' + String(error.message || error);
    }
  };
  const key = prefix + 'a b+中.txt';
  await attempt('putObject', async () => (await call('putObject', { Key: key, Body: 'hello' })).statusCode);
  await attempt('getObject', async () => String((await call('getObject', { Key: key })).Body));
  await attempt('headObject', async () => (await call('headObject', { Key: key })).statusCode);
  await attempt('getObjectUrl', async () => {
    const { Url } = await call('getObjectUrl', { Key: key, Sign: true });
    return (await fetch(Url)).text();
  });
  await attempt('multipart', async () => {
    const { UploadId } = await call('multipartInit', { Key: prefix + 'parts.bin' });
    const Parts = [];
    for (const [number, Body] of [[1, 'one,'], [2, 'two']]) {
      const { ETag } = await call('multipartUpload', { Key: prefix + 'parts.bin', UploadId, PartNumber: number, Body });
      Parts.push({ PartNumber: number, ETag });
    }
    return (await call('multipartComplete', { Key: prefix + 'parts.bin', UploadId, Parts })).statusCode;
  });
  await attempt('list', async () => (await call('getBucket', { Prefix: prefix })).Contents.map((each) => each.Key));
  if (cos.postObject) {
    await attempt('postObject', async () => {
      const data = await call('postObject', { Key: prefix + 'form.txt', FilePath: 'form.txt' });
      return data.error ? 'refused' : data.statusCode;
    });
  }
  await attempt('another', async () => (await call('getObject', { Key: 'secret/a.txt' })).error !== undefined);
  await attempt('whole list', async () => (await call('getBucket', {})).error !== undefined);
  return told;
}

const byFetch = async (url, headers, asked, callback) => {
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(asked) });
  callback(await answer.json());
};

// A small stand-in for the Mini Program's runtime: its requests and uploads are real ones.
function miniProgram() {
  const send = async ({ url, method, header, data, responseType, success, fail }) => {
    try {
      const body = data !== undefined && typeof data === 'object' && !(data instanceof ArrayBuffer) ? JSON.stringify(data) : data;
      const hasBody = method !== 'GET' && method !== 'HEAD';
      const answer = await fetch(url, { method, headers: header, body: hasBody ? body : undefined });
      const content = responseType === 'arraybuffer' ? await answer.arrayBuffer() : await answer.text();
      const headers = Object.fromEntries(answer.headers);
      success({ statusCode: answer.status, header: headers, data: content });
    } catch (error) {
      fail({ errMsg: String(error), header: {} });
    }
  };
  const uploadFile = async ({ url, header, formData, success, fail }) => {
    try {
      const form = new FormData();
      for (const [name, value] of Object.entries(formData)) if (value !== undefined) form.append(name, String(value));
      form.append('file', new Blob(['by a form']), 'form.txt');
      const answer = await fetch(url, { method: 'POST', body: form });
      success({ statusCode: answer.status, header: Object.fromEntries(answer.headers), data: await answer.text() });
    } catch (error) {
      fail({ errMsg: String(error), header: {} });
    }
  };
  const task = (f) => (options) => {
    f(options);
    return { onProgressUpdate() {}, abort() {}, onHeadersReceived() {} };
  };
  return {
    request: task(send), uploadFile: task(uploadFile), canIUse: () => false, getFileSystemManager: () => ({}),
    getSystemInfoSync: () => ({}), getAppBaseInfo: () => ({}), getDeviceInfo: () => ({}), getStorageSync: () => '',
    setStorageSync() {}, removeStorageSync() {}, getNetworkType() {},
  };
}

if (typeof window === 'undefined') {
  const settings = JSON.parse(require('fs').readFileSync(0, 'utf8'));
  let COS, post;
  if (settings.sdk === 'wx') {
    settings.domain = 'http://' + settings.domain; // its option Protocol changes nothing
    globalThis.wx = miniProgram();
    COS = require('cos-wx-sdk-v5/index.js');
    post = (url, header, data, callback) =>
      wx.request({ url, method: 'POST', header, data, success: (answer) => callback(JSON.parse(answer.data)) });
  } else {
    COS = require('cos-nodejs-sdk-v5');
    post = byFetch;
  }
  run(COS, settings, post).then((told) => {
    require('fs').writeSync(1, JSON.stringify(told));
    process.exit(0);
  });
}
