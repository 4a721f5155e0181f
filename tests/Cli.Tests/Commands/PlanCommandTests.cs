using System.Text.Json;
using Eigengate.Cli.Tests.Support;

namespace Eigengate.Cli.Tests.Commands;

public sealed class PlanCommandTests
{
    [Fact]
    public async Task A_plan_counts_bases_and_cores_of_real_shapes()
    {
        CommandRun run = (await CommandRun.OfAsync(
            "plan", "--adapters", "500", "--shape", "4096x4096", "1024x4096", "--layers", "2", "--rank", "16", "64", "--clusters", "7", "--json")).Succeeded();
        JsonElement[] plans = [.. run.Json.GetProperty("plans").EnumerateArray()];
        Assert.Equal([16, 64], plans.Select(p => p.GetProperty("rank")[0].GetInt32()));
        foreach (JsonElement plan in plans)
        {
            long rank = plan.GetProperty("rank")[0].GetInt64();
            long bases = 7 * 2 * rank * (4096 + 4096 + 1024 + 4096), cores = 2 * 2 * rank * rank, lora = 2 * 16L * (4096 + 4096 + 1024 + 4096);
            Assert.Equal(4 * bases, plan.GetProperty("basis_bytes").GetInt64());
            Assert.Equal(4 * cores, plan.GetProperty("adapter_bytes").GetInt64());
            Assert.Equal(1 - ((bases + (500.0 * cores)) / (500.0 * lora)), plan.GetProperty("parameters_saved").GetDouble(), 1e-12);
        }
    }

    [Fact]
    public async Task A_plan_says_how_many_adapters_fit()
    {
        CommandRun run = (await CommandRun.OfAsync("plan", "--adapters", "100", "--shape", "1024x1024", "--memory", "1GB")).Succeeded();
        // Bases of rank 16 are 131,072 bytes and a core is 1,024 bytes.
        Assert.Contains(((1_000_000_000L - 131_072) / 1024).ToString("N0", System.Globalization.CultureInfo.InvariantCulture), run.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--shape", "4096")]
    [InlineData("--adapters", "0")]
    [InlineData("--memory", "lots")]
    public Task A_bad_value_is_quoted(string option, string value) => CommandRun.RefusedAsync(
        option == "--adapters" ? ["plan", "--adapters", value, "--shape", "8x8"] : ["plan", "--adapters", "3", "--shape", "8x8", option, value], value);
}
