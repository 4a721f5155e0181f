using System.Net.Http.Json;
using System.Text.Json;

namespace Eigengate.Integration.Tests;

/// <summary>Questions to a deployment of the demo's bundle that may still be starting.</summary>
internal static class DemoQuestions
{
    /// <summary>One adapter of each cluster, by cluster number.</summary>
    public static IReadOnlyList<string> AdapterOfEachCluster()
    {
        using JsonDocument manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(Repository.DemoBundle, "manifest.json")));
        return [.. manifest.RootElement.GetProperty("adapters").EnumerateArray()
            .GroupBy(a => a.GetProperty("cluster").GetInt32(), a => a.GetProperty("id").GetString()!)
            .OrderBy(cluster => cluster.Key).Select(cluster => cluster.First())];
    }

    /// <summary>An adapter's first held-out question, answered over HTTP; asks again while the servers or their announcements are on the way.</summary>
    public static async Task AssertAnsweredAsync(HttpClient http, string adapter, CancellationToken cancel)
    {
        DemoItem item = DemoTasks.Load().Tasks.First(t => t.Id == adapter).Items[0];
        while (true)
        {
            try
            {
                using HttpResponseMessage response = await AskAsync(http, adapter, item.Prompt, cancel);
                if (response.IsSuccessStatusCode)
                {
                    JsonElement answer = await response.Content.ReadFromJsonAsync<JsonElement>(cancel);
                    Assert.Equal(item.Answer, answer.GetProperty("choices")[0].GetProperty("text").GetString()!.Trim());
                    return;
                }
            }
            catch (HttpRequestException)
            {
                // The gateway does not listen yet.
            }

            await Task.Delay(100, cancel);
        }
    }

    public static Task<HttpResponseMessage> AskAsync(HttpClient http, string model, string prompt, CancellationToken cancel) =>
        http.PostAsJsonAsync("/v1/completions", new { model, prompt, max_tokens = 40, temperature = 0 }, cancel);
}
