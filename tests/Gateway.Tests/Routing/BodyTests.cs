using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Eigengate.Gateway.Tests.Routing;

public sealed class BodyTests(SharedGarnet garnet)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("""{"model": "a"} trailing""")]
    [InlineData("""{"model": "a", "prompt": }""")]
    [InlineData("""["model"]""")]
    [InlineData("null")]
    [InlineData("3")]
    public async Task Body_that_is_not_one_json_object_is_a_bad_request(string body)
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        await (await deployment.PostAsync("/v1/completions", body)).ErrorAsync(HttpStatusCode.BadRequest, "Bad Request");
    }

    [Theory]
    [InlineData("3")]
    [InlineData("""["a"]""")]
    [InlineData("{}")]
    [InlineData("true")]
    public async Task Model_that_is_not_a_string_is_a_bad_request(string model)
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var answer = await deployment.PostAsync("/v1/completions", $$"""{"model": {{model}}}""");
        await answer.ErrorAsync(HttpStatusCode.BadRequest, "Bad Request", "model");
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    public async Task Content_type_other_than_json_is_a_bad_request(string contentType)
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        await (await deployment.PostAsync("/v1/completions", "{}", contentType)).ErrorAsync(HttpStatusCode.BadRequest, "Bad Request");
    }

    [Fact]
    public async Task Content_type_with_parameters_and_other_case_is_accepted()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        await deployment.AddNodeAsync("n0", []);
        using var content = new ByteArrayContent("{}"u8.ToArray());
        content.Headers.TryAddWithoutValidation("Content-Type", "Application/JSON; charset=utf-8");
        Assert.Equal("n0", await (await deployment.Client.PostAsync("/v1/completions", content, Cancel)).NodeAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Model_last_in_a_body_of_three_megabytes_is_found_and_the_body_arrives_whole(bool chunked)
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var node = await deployment.AddNodeAsync("n0", [0]);
        await deployment.AddAdapterAsync("last", cluster: 0);
        var body = $$"""{"prompt": "{{new string('x', 3 << 20)}}", "nested": {"model": "not-this"}, "model": "last"}""";
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.TransferEncodingChunked = chunked;
        Assert.Equal("n0", await (await deployment.Client.SendAsync(request, Cancel)).NodeAsync());
        Assert.Equal(body, Assert.Single(node.Requests).Body);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Body_over_the_limit_is_too_large(bool chunked)
    {
        await using var deployment = await Deployment.StartAsync(garnet, options => options with { MaxBodyBytes = 100_000 });
        await deployment.AddNodeAsync("n0", []);
        Assert.Equal("n0", await (await SendAsync(100_000)).NodeAsync());
        await (await SendAsync(100_001)).ErrorAsync(HttpStatusCode.RequestEntityTooLarge, "BadRequestError");

        async Task<HttpResponseMessage> SendAsync(int size)
        {
            var frame = """{"prompt": ""}""";
            var body = frame.Insert(frame.Length - 2, new string('x', size - frame.Length));
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
            request.Headers.TransferEncodingChunked = chunked;
            return await deployment.Client.SendAsync(request, Cancel);
        }
    }

    [Fact]
    public async Task Bodies_over_the_memory_budget_are_turned_away_until_others_finish()
    {
        await using var deployment = await Deployment.StartAsync(garnet, options => options with { MaxBufferedBytes = 50_000 });
        var release = new TaskCompletionSource();
        var node = await deployment.AddNodeAsync("n0", [], async context =>
        {
            await release.Task;
            await context.Response.WriteAsJsonAsync(new { node = "n0" });
        });
        var body = $$"""{"prompt": "{{new string('x', 30_000)}}"}""";
        var first = deployment.PostAsync("/v1/completions", body);
        await Deployment.UntilAsync(() => node.Requests.Count == 1);
        await (await deployment.PostAsync("/v1/completions", body)).ErrorAsync(HttpStatusCode.TooManyRequests, "RateLimitError");
        release.SetResult();
        Assert.Equal("n0", await (await first).NodeAsync());
        Assert.Equal("n0", await (await deployment.PostAsync("/v1/completions", body)).NodeAsync());
    }
}
