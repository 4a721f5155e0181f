namespace Eigengate.ComputeNode.Requests;

/// <summary>Upper bounds on what one HTTP request may ask for (spec/http-api.md §5.1); beyond them it is refused, never cut.</summary>
public sealed record RequestLimits
{
    /// <summary>Choices per prompt.</summary>
    public int MaxChoices { get; init; } = 128;

    public int MaxPrompts { get; init; } = 1024;

    /// <summary>Most likely tokens reported per position.</summary>
    public int MaxLogprobs { get; init; } = 20;

    public int MaxStopStrings { get; init; } = 16;

    public int MaxBadWords { get; init; } = 128;

    /// <summary>Bytes of the request body.</summary>
    public long MaxBodyBytes { get; init; } = 32 << 20;
}
