using System.Text.Json;

namespace Eigengate.Inference.Models;

/// <summary>The numbers of a decoder model, read from a Hugging Face config.json and checked.</summary>
public sealed record ModelConfig
{
    public required string ModelType { get; init; }

    public required int HiddenSize { get; init; }

    public required int IntermediateSize { get; init; }

    public required int Layers { get; init; }

    /// <summary>Query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Key/value heads; divides <see cref="Heads"/>.</summary>
    public required int KvHeads { get; init; }

    /// <summary>Width of one head; even.</summary>
    public required int HeadDim { get; init; }

    public required int VocabularySize { get; init; }

    /// <summary>Context length in tokens, stretching included.</summary>
    public required int MaxPositions { get; init; }

    public required float NormEpsilon { get; init; }

    public required double RopeTheta { get; init; }

    public RopeScaling RopeScaling { get; init; } = RopeScaling.None;

    /// <summary>The query, key and value projections have a bias.</summary>
    public bool QkvBias { get; init; }

    /// <summary>The output projection of attention has a bias.</summary>
    public bool OutputBias { get; init; }

    /// <summary>The gate, up and down projections have a bias.</summary>
    public bool MlpBias { get; init; }

    /// <summary>Each query and key head is normalized between projection and rotation.</summary>
    public bool HeadNorm { get; init; }

    /// <summary>[layers], positions that a row attends to at most, itself included; int.MaxValue where there is no limit.</summary>
    public required IReadOnlyList<int> Windows { get; init; }

    /// <summary>The head shares the embedding matrix; null when the file does not say, then the presence of lm_head decides.</summary>
    public bool? TiedEmbeddings { get; init; }

    public int QueryWidth => Heads * HeadDim;

    public int KvWidth => KvHeads * HeadDim;

    /// <exception cref="InvalidModelException">The directory or file is missing, or describes a model this engine cannot run exactly.</exception>
    public static ModelConfig Load(string directory)
    {
        if (!Directory.Exists(directory))
            throw new InvalidModelException($"model directory '{directory}' does not exist");
        string path = Path.Combine(directory, "config.json");
        if (!File.Exists(path))
            throw new InvalidModelException($"'{path}' does not exist; a Hugging Face model directory was expected");
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? new ConfigReader(new ConfigObject(path, "", document.RootElement)).Read()
                : throw new InvalidModelException($"'{path}' is not a JSON object");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InvalidModelException($"'{path}' is not a valid config.json: {e.Message}", e);
        }
    }
}
