package peer;

import java.util.Map;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.autoconfigure.condition.ConditionalOnExpression;
import org.springframework.context.annotation.Bean;
import org.springframework.core.annotation.Order;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.client.OAuth2AuthorizedClient;
import org.springframework.security.oauth2.client.annotation.RegisteredOAuth2AuthorizedClient;
import org.springframework.security.oauth2.core.oidc.user.OidcUser;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtValidators;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.client.RestClient;
import org.springframework.web.util.HtmlUtils;

/**
 * An application that signs people in (everything but /api) and a resource server (/api) in one. The first shows its access
 * token to the second and tells the answer. CALL_API=1 makes it do that, AT_JWT=1 gives the second the decoder for RFC 9068.
 */
@SpringBootApplication
@RestController
public class App {
  @Value("${CALL_API:}")
  private String callApi;

  @Value("${PORT}")
  private String port;

  public static void main(String[] args) {
    SpringApplication.run(App.class, args);
  }

  @Bean
  @Order(1)
  SecurityFilterChain api(HttpSecurity http) throws Exception {
    return http.securityMatcher("/api/**")
        .authorizeHttpRequests(requests -> requests.anyRequest().authenticated())
        .oauth2ResourceServer(server -> server.jwt(Customizer.withDefaults()))
        .build();
  }

  @Bean
  @Order(2)
  SecurityFilterChain pages(HttpSecurity http) throws Exception {
    return http.authorizeHttpRequests(requests -> requests.anyRequest().authenticated())
        .oauth2Login(Customizer.withDefaults())
        .build();
  }

  /** Tokens of typ at+jwt, which are for the issuer because none of their scopes is a resource's. */
  @Bean
  @ConditionalOnExpression("'${AT_JWT:}' != ''")
  JwtDecoder accessTokens(@Value("${ISSUER}") String issuer, @Value("${CLIENT_ID}") String client) {
    NimbusJwtDecoder decoder =
        NimbusJwtDecoder.withIssuerLocation(issuer).validateType(false).build();
    decoder.setJwtValidator(
        JwtValidators.createAtJwtValidator().issuer(issuer).audience(issuer).clientId(client).build());
    return decoder;
  }

  @GetMapping("/api/me")
  Map<String, String> api(@AuthenticationPrincipal Jwt token) {
    return Map.of("sub", token.getSubject());
  }

  @GetMapping("/")
  String index(
      @AuthenticationPrincipal OidcUser user,
      @RegisteredOAuth2AuthorizedClient("sallyport") OAuth2AuthorizedClient client) {
    String told = callApi.isEmpty() ? "" : askApi(client.getAccessToken().getTokenValue());
    return "<p id=\"user\">" + HtmlUtils.htmlEscape(user.getEmail() + told) + "</p>";
  }

  private String askApi(String token) {
    return RestClient.create()
        .get()
        .uri("http://localhost:" + port + "/api/me")
        .header("Authorization", "Bearer " + token)
        .exchange(
            (request, response) ->
                " api " + response.getStatusCode().value() + " " + response.getHeaders().getFirst("WWW-Authenticate"));
  }
}
