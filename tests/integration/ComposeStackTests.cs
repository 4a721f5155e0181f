using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;

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
        using JsonDocument manifest = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(Repository.DemoBundle, "manifest.json"), Cancel));
        var adapters = manifest.RootElement.GetProperty("adapters").EnumerateArray()
            .GroupBy(a => a.GetProperty("cluster").GetInt32(), a => a.GetProperty("id").GetString()!).Select(cluster => cluster.First());
        IReadOnlyList<DemoTask> tasks = DemoTasks.Load().Tasks;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(90));
        foreach (string adapter in adapters)
        {
            DemoItem item = tasks.First(t => t.Id == adapter).Items[0];
            Assert.Equal(item.Answer, await AskUntilServedAsync(http, adapter, item.Prompt, limit.Token));
        }
    }

    private static async Task<string> AskUntilServedAsync(HttpClient http, string model, string prompt, CancellationToken cancel)
    {
        while (true)
        {
            try
            {
                using HttpResponseMessage response = await http.PostAsJsonAsync("/v1/completions", new { model, prompt, max_tokens = 40, temperature = 0 }, cancel);
                if (response.IsSuccessStatusCode)
                {
                    JsonElement answer = await response.Content.ReadFromJsonAsync<JsonElement>(cancel);
                    return answer.GetProperty("choices")[0].GetProperty("text").GetString()!.Trim();
                }
            }
            catch (HttpRequestException)
            {
                // The gateway's container is still starting.
            }

            await Task.Delay(250, cancel);
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        return ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
    }
}
