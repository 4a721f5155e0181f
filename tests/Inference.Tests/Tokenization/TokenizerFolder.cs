using System.Text.Json.Nodes;
using Eigengate.Inference.Tokenization;

namespace Eigengate.Inference.Tests.Tokenization;

/// <summary>A temporary model folder with tokenizer files made by a test.</summary>
internal sealed class TokenizerFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("tokenizer-").FullName;

    public static string Arrows => System.IO.Path.Combine(AppContext.BaseDirectory, "Tokenization", "Fixtures", "arrows");

    /// <summary>The committed byte-level tokenizer, changed by the test.</summary>
    public static TokenizerFolder ArrowsWith(Action<JsonNode> change)
    {
        var folder = new TokenizerFolder();
        foreach (var file in Directory.GetFiles(Arrows))
            File.Copy(file, System.IO.Path.Combine(folder.Path, System.IO.Path.GetFileName(file)));
        var json = JsonNode.Parse(File.ReadAllText(System.IO.Path.Combine(Arrows, "tokenizer.json")))!;
        change(json);
        return folder.Write("tokenizer.json", json.ToJsonString());
    }

    public TokenizerFolder Write(string name, string text)
    {
        File.WriteAllText(System.IO.Path.Combine(Path, name), text);
        return this;
    }

    public TokenizerFolder Write(string name, byte[] bytes)
    {
        File.WriteAllBytes(System.IO.Path.Combine(Path, name), bytes);
        return this;
    }

    public Tokenizer Load() => Tokenizer.Load(Path);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
