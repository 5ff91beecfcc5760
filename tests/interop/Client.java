import java.io.*;
import java.net.*;
import java.net.http.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.KeyStore;
import java.security.cert.*;
import java.time.Duration;
import javax.net.ssl.*;

/** Reads "port alpn resumed|full root p12|-" from each line of stdin, asks for /connection, and writes its words and the answer, base64. */
public class Client {
    static final char[] PASSWORD = "synfin".toCharArray();

    static SSLContext context(String root, String p12) throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (InputStream in = Files.newInputStream(Path.of(root))) {
            trusted.setCertificateEntry("root", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(trusted);
        KeyManager[] keys = null;
        if (!p12.equals("-")) {
            KeyStore own = KeyStore.getInstance("PKCS12");
            try (InputStream in = Files.newInputStream(Path.of(p12))) { own.load(in, PASSWORD); }
            KeyManagerFactory factory = KeyManagerFactory.getInstance("NewSunX509");
            factory.init(own, PASSWORD);
            keys = factory.getKeyManagers();
        }
        SSLContext made = SSLContext.getInstance("TLS");
        made.init(keys, trust.getTrustManagers(), null);
        return made;
    }

    static String ask(SSLContext context, int port, String alpn, long since) throws Exception {
        if (alpn.equals("h2")) {
            HttpClient client = HttpClient.newBuilder().sslContext(context).version(HttpClient.Version.HTTP_2)
                .connectTimeout(Duration.ofSeconds(20)).build();
            HttpResponse<String> answer = client.send(
                HttpRequest.newBuilder(URI.create("https://localhost:" + port + "/connection")).build(),
                HttpResponse.BodyHandlers.ofString());
            SSLSession session = answer.sslSession().get();
            return words(session, answer.version() == HttpClient.Version.HTTP_2 ? "h2" : "", since, answer.body());
        }
        try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket("localhost", port)) {
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setApplicationProtocols(new String[] {alpn});
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            socket.setSoTimeout(20000);
            socket.getOutputStream().write(("GET /connection HTTP/1.1\r\nHost: localhost:" + port
                + "\r\nConnection: close\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
            String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return words(socket.getSession(), socket.getApplicationProtocol(), since, answer);
        }
    }

    static String words(SSLSession session, String alpn, long since, String answer) {
        return session.getProtocol() + " " + session.getCipherSuite() + " " + (session.getCreationTime() < since) + " "
            + (alpn.isEmpty() ? "-" : alpn) + " "
            + java.util.Base64.getEncoder().encodeToString(answer.getBytes(StandardCharsets.UTF_8));
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            String[] words = line.split(" ");
            String said;
            try {
                SSLContext context = context(words[3], words[4]);
                int port = Integer.parseInt(words[0]);
                if (words[2].equals("resumed")) {
                    ask(context, port, words[1], 0);
                    Thread.sleep(20);
                }
                said = ask(context, port, words[1], System.currentTimeMillis());
            } catch (Exception error) {
                said = "failed " + error;
            }
            System.out.println(said);
        }
        System.out.flush();
        System.exit(0);
    }
}
