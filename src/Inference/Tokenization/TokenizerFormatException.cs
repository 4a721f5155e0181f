namespace Eigengate.Inference.Tokenization;

/// <summary>A tokenizer file is missing, broken, or asks for something that is not supported.</summary>
public sealed class TokenizerFormatException(string file, string field, string problem, Exception? inner = null)
    : Exception($"{file}: {field}: {problem}", inner)
{
    /// <summary>The file, as it was opened.</summary>
    public string File { get; } = file;

    /// <summary>The field inside the file, as a path such as <c>model.merges[3]</c>.</summary>
    public string Field { get; } = field;
}
