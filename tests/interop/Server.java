import com.sun.net.httpserver.*;
import java.io.*;
import java.net.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.security.KeyStore;
import java.security.cert.*;
import java.util.*;
import java.util.concurrent.Executors;
import javax.net.ssl.*;

/** Reads "version p12 root|- groups|-" from each line of stdin up to an empty one, serves each, prints the ports; ends with stdin. */
public class Server {
    static final char[] PASSWORD = "synfin".toCharArray();
    static final Set<String> SEEN = new HashSet<>();

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        StringBuilder ports = new StringBuilder();
        for (String line; (line = lines.readLine()) != null && !line.isEmpty(); ) {
            String[] words = line.split(" ");
            ports.append(serve(words[0], words[1], words[2])).append(' ');
        }
        System.out.println(ports.toString().trim());
        System.out.flush();
        while (lines.readLine() != null) { }
        System.exit(0);
    }

    static int serve(String version, String p12, String root) throws Exception {
        KeyStore own = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(Path.of(p12))) { own.load(in, PASSWORD); }
        KeyManagerFactory keys = KeyManagerFactory.getInstance("NewSunX509");
        keys.init(own, PASSWORD);
        TrustManager[] trust = null;
        if (!root.equals("-")) {
            KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
            trusted.load(null, null);
            try (InputStream in = Files.newInputStream(Path.of(root))) {
                trusted.setCertificateEntry("root", CertificateFactory.getInstance("X.509").generateCertificate(in));
            }
            TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
            factory.init(trusted);
            trust = factory.getTrustManagers();
        }
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trust, null);
        HttpsServer server = HttpsServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        boolean asks = trust != null;
        server.setHttpsConfigurator(new HttpsConfigurator(context) {
            @Override public void configure(HttpsParameters parameters) {
                SSLParameters chosen = context.getDefaultSSLParameters();
                chosen.setProtocols(new String[] {version});
                chosen.setNeedClientAuth(asks);
                chosen.setApplicationProtocols(new String[] {"http/1.1"});
                parameters.setSSLParameters(chosen);
            }
        });
        server.createContext("/", exchange -> {
            SSLSession session = ((HttpsExchange) exchange).getSSLSession();
            String client = "";
            try { client = session.getPeerPrincipal().getName(); } catch (SSLPeerUnverifiedException none) { }
            boolean resumed = !SEEN.add(server.getAddress().getPort() + " " + session.getCreationTime());
            byte[] answer = ("{\"version\": \"" + session.getProtocol() + "\", \"suite\": \"" + session.getCipherSuite()
                + "\", \"resumed\": " + resumed + ", \"client\": \"" + client + "\"}").getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(200, answer.length);
            exchange.getResponseBody().write(answer);
            exchange.close();
        });
        server.setExecutor(Executors.newFixedThreadPool(2));
        server.start();
        return server.getAddress().getPort();
    }
}
