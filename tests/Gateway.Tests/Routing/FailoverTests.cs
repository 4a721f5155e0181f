using System.Net;
using Microsoft.AspNetCore.Http;

namespace Eigengate.Gateway.Tests.Routing;

public sealed class FailoverTests(SharedGarnet garnet)
{
    [Fact]
    public async Task Node_that_is_gone_is_replaced_by_another_of_the_cluster()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var dead = await deployment.AddNodeAsync("dead", [0]);
        await deployment.AddNodeAsync("alive", [0]);
        await deployment.AddAdapterAsync("a", cluster: 0);
        await dead.DisposeAsync();
        for (var i = 0; i < 16; i++)
            Assert.Equal("alive", await (await deployment.CompleteAsync("a")).NodeAsync());
    }

    [Fact]
    public async Task Node_that_dies_before_the_first_byte_is_replaced_and_the_body_is_sent_again()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var dying = await deployment.AddNodeAsync("dying", [0], UpstreamNode.Die);
        var alive = await deployment.AddNodeAsync("alive", [0]);
        await deployment.AddAdapterAsync("a", cluster: 0);
        while (dying.Requests.IsEmpty)
            Assert.Equal("alive", await (await deployment.CompleteAsync("a")).NodeAsync());
        Assert.Equal(dying.Requests.First().Body, alive.Requests.Last().Body);
    }

    [Fact]
    public async Task Node_that_failed_is_avoided_for_a_while()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var dying = await deployment.AddNodeAsync("dying", [0], UpstreamNode.Die);
        await deployment.AddNodeAsync("alive", [0]);
        while (dying.Requests.IsEmpty)
            await deployment.CompleteAsync(null);
        for (var i = 0; i < 16; i++)
            Assert.Equal("alive", await (await deployment.CompleteAsync(null)).NodeAsync());
        Assert.Single(dying.Requests);
    }

    [Fact]
    public async Task Node_that_declines_is_replaced_by_another()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        var draining = await deployment.AddNodeAsync("draining", [0], Decline);
        await deployment.AddNodeAsync("alive", [0]);
        while (draining.Requests.IsEmpty)
            Assert.Equal("alive", await (await deployment.CompleteAsync(null)).NodeAsync());
    }

    [Fact]
    public async Task Node_that_declines_alone_answers_for_itself()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        await deployment.AddNodeAsync("draining", [0], Decline);
        var answer = await deployment.CompleteAsync(null);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal("draining", (await answer.JsonAsync()).GetProperty("reason").GetString());
    }

    [Fact]
    public async Task All_nodes_dead_is_unavailable_in_the_usual_shape()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        await deployment.AddNodeAsync("n0", [0], UpstreamNode.Die);
        await deployment.AddNodeAsync("n1", [0], UpstreamNode.Die);
        var answer = await deployment.CompleteAsync(null);
        await answer.ErrorAsync(HttpStatusCode.ServiceUnavailable, "ServiceUnavailableError");
        Assert.NotNull(answer.Headers.RetryAfter);
    }

    [Fact]
    public async Task Silent_node_is_a_gateway_timeout_and_not_tried_elsewhere()
    {
        await using var deployment = await Deployment.StartAsync(garnet, options => options with { ActivityTimeout = TimeSpan.FromMilliseconds(300) });
        Task Silence(HttpContext context) => Task.Delay(Timeout.Infinite, context.RequestAborted);
        var first = await deployment.AddNodeAsync("n0", [0], Silence);
        var second = await deployment.AddNodeAsync("n1", [0], Silence);
        await (await deployment.CompleteAsync(null)).ErrorAsync(HttpStatusCode.GatewayTimeout, "InternalServerError");
        Assert.Equal(1, first.Requests.Count + second.Requests.Count);
    }

    [Fact]
    public async Task Errors_of_a_node_pass_through_untouched()
    {
        await using var deployment = await Deployment.StartAsync(garnet);
        await deployment.AddNodeAsync("n0", [0], context =>
        {
            context.Response.StatusCode = 400;
            return context.Response.WriteAsync("""{"error": "as the node said"}""");
        });
        var answer = await deployment.CompleteAsync(null);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Equal("as the node said", (await answer.JsonAsync()).GetProperty("error").GetString());
    }

    private static Task Decline(HttpContext context)
    {
        context.Response.StatusCode = 503;
        return context.Response.WriteAsJsonAsync(new { reason = "draining" });
    }
}
