// The site's search runs in a Worker. Browsers do not start a Worker from the
// disk (file://). There, this class runs the same script in a hidden frame.
if (location.protocol === 'file:') {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      const frame = document.createElement('iframe');
      frame.hidden = true;
      document.body.append(frame);
      const inner = frame.contentWindow;
      inner.postMessage = (data) =>
        this.dispatchEvent(new MessageEvent('message', { data }));
      this.send = (data) =>
        inner.dispatchEvent(new MessageEvent('message', { data }));
      this.ready = new Promise((done) => (frame.onload = done));
      frame.contentDocument.open();
      frame.contentDocument.write(`<script src="${address}"></script>`);
      frame.contentDocument.close();
    }

    postMessage(data) {
      this.ready.then(() => this.send(data));
    }
  };
}
