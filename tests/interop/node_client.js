// Reads one request as JSON from each line of stdin, makes it, and writes one line of JSON: its words and the body.
const fs = require('fs'), https = require('https'), http2 = require('http2'), readline = require('readline');

function told(socket, reused) {
  const key = socket.getEphemeralKeyInfo();
  return { version: socket.getProtocol(), suite: socket.getCipher().standardName, resumed: socket.isSessionReused(),
    group: key && key.name || null, alpn: socket.alpnProtocol || '' };
}

function ask1(what, agent) {
  return new Promise((done, failed) => {
    const request = https.get({ ...what.options, agent, path: what.path, headers: { Connection: 'close' } }, answer => {
      const words = told(answer.socket), parts = [];
      answer.on('data', part => parts.push(part));
      answer.on('end', () => done({ ...words, status: answer.statusCode, body: Buffer.concat(parts).toString() }));
    });
    request.on('error', failed);
  });
}

function ask2(what) {
  return new Promise((done, failed) => {
    const session = http2.connect(`https://${what.options.servername}:${what.options.port}`, what.options);
    session.on('error', failed);
    const stream = session.request({ ':path': what.path }), parts = [];
    let status = 0;
    stream.on('response', headers => { status = headers[':status']; });
    stream.on('data', part => parts.push(part));
    stream.on('end', () => {
      const words = told(session.socket);
      session.close();
      done({ ...words, status, body: Buffer.concat(parts).toString() });
    });
  });
}

async function make(what) {
  for (const name of ['ca', 'cert', 'key']) if (what.options[name]) what.options[name] = fs.readFileSync(what.options[name]);
  if (what.options.ALPNProtocols[0] === 'h2') return ask2(what);
  const agent = new https.Agent();
  if (what.resumed) { await ask1(what, agent); await new Promise(done => setTimeout(done, 30)); }
  return ask1(what, agent);
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    try { console.log(JSON.stringify(await make(JSON.parse(line)))); }
    catch (error) { console.log(JSON.stringify({ error: String(error) })); }
  }
})();
