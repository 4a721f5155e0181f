using System.Globalization;

namespace Eigengate.ComputeNode.Adapters;

/// <summary>Names under which the engine holds the adapter clusters of a bundle.</summary>
internal static class ClusterKeys
{
    /// <summary>Two generations of one cluster have different bases and may be resident at once.</summary>
    public static string Of(string generation, int cluster) => string.Create(CultureInfo.InvariantCulture, $"{generation}/{cluster}");
}
