using System.Net;
using Microsoft.AspNetCore.Http;

namespace Eigengate.Gateway.Tests.Front;

public sealed class FrontTests(SharedGarnet garnet)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(null)]
    [InlineData("Bearer wrong")]
    [InlineData("Basic first")]
    [InlineData("Bearer")]
    [InlineData("first")]
    public async Task Request_without_a_valid_key_is_unauthorized(string? authorization)
    {
        await using var deployment = await Deployment.StartAsync(garnet, options => options with { ApiKeys = ["first", "second"] });
        foreach (var (method, path) in ((string, string)[])[("GET", "/v1/models"), ("POST", "/v1/completions"), ("GET", "/nowhere"), ("GET", "/load")])
        {
            var answer = await SendAsync(deployment, method, path, authorization);
            await answer.ErrorAsync(HttpStatusCode.Unauthorized, "AuthenticationError");
            Assert.Equal("Bearer", answer.Headers.WwwAuthenticate.Single().Scheme);
        }
    }

    [Theory]
    [InlineData("Bearer first")]
    [InlineData("bearer second")]
    public async Task Request_with_any_valid_key_is_let_in(string authorization)
    {
        await using var deployment = await Deployment.StartAsync(garnet, options => options with { ApiKeys = ["first", "second"] });
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(deployment, "GET", "/v1/models", authorization)).StatusCode);
    }

    [Fact]
    public async Task Health_version_and_preflight_need_no_key()
    {
        await using var deployment = await Deployment.StartAsync(garnet, options => options with { ApiKeys = ["first"] });
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await SendAsync(deployment, "GET", "/health")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(deployment, "GET", "/version")).StatusCode);

        using var preflight = new HttpRequestMessage(HttpMethod.Options, "/v1/completions")
        {
            Headers = { { "Origin", "http://example.com" }, { "Access-Control-Request-Method", "POST" }, { "Access-Control-Request-Headers", "authorization" } },
        };
        var answer = await deployment.Client.SendAsync(preflight, Cancel);
        Assert.True(answer.IsSuccessStatusCode);
        Assert.Equal("*", answer.Headers.GetValues("Access-Control-Allow-Origin").Single());
    }

    [Fact]
    public async Task Errors_carry_cors_headers_too()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models/nobody") { Headers = { { "Origin", "http://example.com" } } };
        var answer = await deployment.Client.SendAsync(request, Cancel);
        await answer.ErrorAsync(HttpStatusCode.NotFound, "NotFoundError", "model");
        Assert.Equal("*", answer.Headers.GetValues("Access-Control-Allow-Origin").Single());
    }

    [Fact]
    public async Task Unknown_path_is_not_found_with_detail()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var answer = await SendAsync(deployment, "GET", "/v1/embeddings");
        var error = await answer.ErrorAsync(HttpStatusCode.NotFound, "NotFoundError");
        Assert.Contains("/v1/embeddings", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal("Not Found", (await answer.JsonAsync()).GetProperty("detail").GetString());
    }

    [Theory]
    [InlineData("GET", "/v1/completions", "POST")]
    [InlineData("DELETE", "/v1/models", "GET")]
    public async Task Wrong_method_names_the_right_one(string method, string path, string allowed)
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var answer = await SendAsync(deployment, method, path);
        await answer.ErrorAsync(HttpStatusCode.MethodNotAllowed, "BadRequestError");
        Assert.Contains(allowed, answer.Content.Headers.Allow);
    }

    [Fact]
    public async Task Requests_beyond_the_limit_are_turned_away_until_others_finish()
    {
        await using var deployment = await Deployment.StartAsync(garnet, options => options with { MaxInFlightRequests = 2 });
        var release = new TaskCompletionSource();
        var node = await deployment.AddNodeAsync("n0", [], async context =>
        {
            await release.Task;
            await context.Response.WriteAsJsonAsync(new { node = "n0" });
        });
        var running = new[] { deployment.CompleteAsync(null), deployment.CompleteAsync(null) };
        await Deployment.UntilAsync(() => node.Requests.Count == 2);
        Assert.Equal(2, (await (await SendAsync(deployment, "GET", "/load")).JsonAsync()).GetProperty("server_load").GetInt32());

        var refused = await deployment.CompleteAsync(null);
        await refused.ErrorAsync(HttpStatusCode.TooManyRequests, "RateLimitError");
        Assert.NotNull(refused.Headers.RetryAfter);
        Assert.Equal("1000", refused.Headers.GetValues("retry-after-ms").Single());

        release.SetResult();
        foreach (var request in running)
            Assert.Equal("n0", await (await request).NodeAsync());
        Assert.Equal("n0", await (await deployment.CompleteAsync(null)).NodeAsync());
    }

    [Fact]
    public async Task Request_id_of_the_client_reaches_the_node_and_comes_back_once()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var node = await deployment.AddNodeAsync("n0", [], context =>
        {
            context.Response.Headers["X-Request-Id"] = context.Request.Headers["X-Request-Id"];
            return Task.CompletedTask;
        });
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = new StringContent("{}", null, "application/json"),
            Headers = { { "X-Request-Id", "my-id-1" } },
        };
        var answer = await deployment.Client.SendAsync(request, Cancel);
        Assert.Equal("my-id-1", answer.Headers.GetValues("X-Request-Id").Single());
        Assert.Equal("my-id-1", Assert.Single(node.Requests).Headers["X-Request-Id"]);
    }

    [Theory]
    [InlineData("header-id", "header-id")]
    [InlineData(null, "body-id")]
    public async Task Request_id_of_the_body_counts_when_no_header_was_sent(string? header, string expected)
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var node = await deployment.AddNodeAsync("n0", []);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = new StringContent("""{"request_id": "body-id"}""", null, "application/json"),
        };
        if (header is not null)
            request.Headers.Add("X-Request-Id", header);
        var answer = await deployment.Client.SendAsync(request, Cancel);
        Assert.Equal(expected, answer.Headers.GetValues("X-Request-Id").Single());
        Assert.Equal(expected, Assert.Single(node.Requests).Headers["X-Request-Id"]);
    }

    [Fact]
    public async Task Request_id_is_made_up_when_missing_also_for_errors()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var answer = await deployment.CompleteAsync("nobody");
        Assert.Matches("^[0-9a-f]{32}$", answer.Headers.GetValues("X-Request-Id").Single());
    }

    private static Task<HttpResponseMessage> SendAsync(Deployment deployment, string method, string path, string? authorization = null)
    {
        var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (authorization is not null)
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
        return deployment.Client.SendAsync(request, Cancel);
    }
}
