using System.Net.Http.Json;
using System.Text.Json;

namespace Eigengate.Integration.Tests;

/// <summary>What the demo promises to whoever tries it, asked over HTTP on words that no training ever saw.</summary>
public class DemoQualityTests(DemoServer demo)
{
    private const int ItemsPerTask = 10;

    [Fact]
    public async Task The_right_adapter_answers_and_the_base_or_a_wrong_adapter_does_not()
    {
        IReadOnlyList<DemoTask> tasks = demo.Tasks.Tasks;
        Assert.True(tasks.Count >= 48);
        double right = await ScoreAsync(i => tasks[i].Id);
        double wrong = await ScoreAsync(i => tasks[(i + tasks.Count / 2) % tasks.Count].Id);
        double alone = await ScoreAsync(_ => demo.BaseModel);
        Assert.True(right >= 0.9, $"right adapter: {right:P1}");
        Assert.True(wrong < 0.2, $"wrong adapter: {wrong:P1}");
        Assert.True(alone < 0.2, $"base alone: {alone:P1}");
    }

    /// <summary>Share of exact matches over all tasks, all requests in flight together.</summary>
    private async Task<double> ScoreAsync(Func<int, string> modelOfTask)
    {
        bool[] correct = await Task.WhenAll(demo.Tasks.Tasks.SelectMany((task, i) =>
            task.Items.Take(ItemsPerTask).Select(item => IsCorrectAsync(modelOfTask(i), item))));
        return correct.Average(c => c ? 1.0 : 0.0);
    }

    private async Task<bool> IsCorrectAsync(string model, DemoItem item)
    {
        var body = new { model, prompt = item.Prompt, max_tokens = 32, temperature = 0 };
        using HttpResponseMessage response = await demo.Http.PostAsJsonAsync("/v1/completions", body, TestContext.Current.CancellationToken);
        JsonElement answer = await response.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode, answer.ToString());
        return answer.GetProperty("choices")[0].GetProperty("text").GetString()!.Trim() == item.Answer;
    }
}
