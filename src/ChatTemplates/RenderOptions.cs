namespace Eigengate.ChatTemplates;

/// <summary>Bounds of one rendering. Defaults fit prompts of about a million characters.</summary>
public sealed record RenderOptions
{
    public static RenderOptions Default { get; } = new();

    /// <summary>Longest text, in UTF-16 units, that the output or any intermediate string may reach.</summary>
    public int MaxTextLength { get; init; } = 8_000_000;

    /// <summary>
    /// Units of work: one per evaluated node and, so that memory is bounded too, one per list element and per four
    /// characters produced.
    /// </summary>
    public long MaxSteps { get; init; } = 10_000_000;

    /// <summary>Macro calls that may be active at the same time.</summary>
    public int MaxCallDepth { get; init; } = 100;

    /// <summary>The clock behind <c>strftime_now</c>, which prints local time.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;
}
