using System.Text.Json;
using Eigengate.Inference.Tests.Tokenization;

namespace Eigengate.Inference.Tests.Sampling.Constraints;

/// <summary>Ajv, a JSON Schema validator of its own.</summary>
internal static class SchemaOracle
{
    /// <summary>For each text null when it satisfies the schema, else why not.</summary>
    public static async Task<string?[]> ValidateAsync(string schema, IReadOnlyList<string> texts)
    {
        var folder = Path.Combine(Tests.SharedData.RepositoryRoot(), "tests", "Inference.Tests", "Sampling", "Constraints", "oracle");
        Assert.SkipUnless(
            Directory.Exists(Path.Combine(folder, "node_modules", "ajv")),
            "the npm package ajv is not installed: run npm ci in tests/Inference.Tests/Sampling/Constraints/oracle");
        var input = JsonSerializer.Serialize(new[] { new { schema, texts } });
        return JsonSerializer.Deserialize<string?[][]>(await ReferenceTool.RunAsync("node", [Path.Combine(folder, "validate.mjs")], input))![0];
    }
}
