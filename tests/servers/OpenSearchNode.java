import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4Plugin;

/** One OpenSearch node on loopback, until standard input ends. Arguments: its folder, its HTTP port, its transport port. */
public class OpenSearchNode extends Node {
  OpenSearchNode(Environment environment) {
    super(environment, List.of(Netty4Plugin.class), false);
  }

  public static void main(String[] words) throws Exception {
    Path home = Path.of(words[0]);
    Files.createDirectories(home.resolve("config"));
    Settings settings = Settings.builder()
        .put("path.home", home.toString())
        .put("node.name", "only")
        .put("cluster.name", "test")
        .put("discovery.type", "single-node")
        .put("http.type", "netty4")
        .put("http.host", "127.0.0.1")
        .put("http.port", words[1])
        .put("transport.type", "netty4")
        .put("transport.host", "127.0.0.1")
        .put("transport.port", words[2])
        .put("cluster.routing.allocation.disk.threshold_enabled", false)
        .build();
    Node node = new OpenSearchNode(
        InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), home.resolve("config"), () -> "only"));
    node.start();
    System.in.read();
    System.exit(0);
  }
}
