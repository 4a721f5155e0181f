using System.Net.Sockets;

namespace Eigengate.Integration.Tests;

/// <summary>docker-compose.yml as its users start it: Redis, a gateway and one node per cluster, each in a container.</summary>
public sealed class ComposeStackTests
{
    private const string BaseImage = "eigengate-test/base:12";
    private const string RedisImage = "eigengate-test/redis:7.0";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_compose_stack_answers_for_an_adapter_of_every_cluster()
    {
        string? why = await Docker.WhyNotAsync(BaseImage);
        Assert.SkipWhen(why is not null, why ?? "");
        Assert.SkipWhen((await Command.RunAsync("docker-compose", ["version"])).ExitCode != 0, "docker-compose is not installed: see eng/test-machine.sh");

        (int published, string publishOutput) = await Command.RunAsync("bash", ["eng/publish.sh"]);
        Assert.True(published == 0, publishOutput);

        int port = FreePort();
        var environment = new Dictionary<string, string>
        {
            ["REDIS_IMAGE"] = RedisImage,
            ["BASE_IMAGE"] = BaseImage,
            ["PORT"] = port.ToString(),
            ["DOCKER_BUILDKIT"] = "0",
        };
        string[] compose = ["-p", "eigengate-test", "-f", "docker-compose.yml"];
        try
        {
            (int up, string upOutput) = await Command.RunAsync("docker-compose", [.. compose, "up", "--build", "--detach"], environment: environment);
            Assert.True(up == 0, upOutput);
            await AnswerForEveryClusterAsync(new Uri($"http://127.0.0.1:{port}"));
        }
        catch (OperationCanceledException) when (!Cancel.IsCancellationRequested)
        {
            (_, string logs) = await Command.RunAsync("docker-compose", [.. compose, "logs", "--tail", "30"], environment: environment);
            Assert.Fail("the stack did not answer in time:\n" + logs);
        }
        finally
        {
            await Command.RunAsync("docker-compose", [.. compose, "down", "--volumes", "--timeout", "5"], environment: environment);
        }
    }

    private static async Task AnswerForEveryClusterAsync(Uri gateway)
    {
        using var http = new HttpClient { BaseAddress = gateway };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(90));
        foreach (string adapter in DemoQuestions.AdapterOfEachCluster())
            await DemoQuestions.AssertAnsweredAsync(http, adapter, limit.Token);
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        return ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
    }
}
