namespace Eigengate.AdapterCache;

/// <summary>The base model that every adapter of this index belongs to.</summary>
/// <param name="Name">Public name.</param>
/// <param name="Created">Unix seconds.</param>
/// <param name="MaxModelLength">Context length in tokens.</param>
/// <param name="Root">Source path or URI.</param>
public sealed record BaseRecord(string Name, long Created, int MaxModelLength, string Root);
