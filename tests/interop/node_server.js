// Serves every cell of the JSON in the first argument on a port of its own; prints the ports as JSON, then serves until stdin ends.
const fs = require('fs'), https = require('https'), http2 = require('http2');
const cells = JSON.parse(process.argv[2]), ports = {};

function answer(request, response) {
  const socket = request.stream ? request.stream.session.socket : request.socket, subject = socket.getPeerCertificate().subject;
  response.end(JSON.stringify({ version: socket.getProtocol(), suite: socket.getCipher().standardName,
    resumed: socket.isSessionReused(), alpn: socket.alpnProtocol || '', client: subject ? subject.CN : '' }));
}

for (const [name, options] of Object.entries(cells)) {
  for (const file of ['ca', 'cert', 'key']) if (options[file]) options[file] = fs.readFileSync(options[file]);
  const make = options.ALPNProtocols[0] === 'h2' ? http2.createSecureServer : https.createServer;
  const server = make(options, answer);
  server.listen(0, '127.0.0.1', () => {
    ports[name] = server.address().port;
    if (Object.keys(ports).length === Object.keys(cells).length) console.log(JSON.stringify(ports));
  });
}
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
