using System.Globalization;

namespace Eigengate.JointDiagonalization.Reports;

/// <summary>Numbers as people read them.</summary>
internal static class Labels
{
    /// <summary>A share as a percentage with about three significant digits.</summary>
    internal static string Percent(double share)
    {
        double percent = 100 * share;
        string format = Math.Abs(percent) switch
        {
            0 or >= 99.95 => "0",
            >= 9.995 => "0.0",
            >= 0.9995 => "0.00",
            >= 0.001 => "0.000",
            _ => "0.0e0",
        };
        return percent.ToString(format, CultureInfo.InvariantCulture) + " %";
    }

    /// <summary>A tick of a percentage axis.</summary>
    internal static string PercentTick(double share) => (100 * share).ToString("0.###", CultureInfo.InvariantCulture) + " %";

    internal static string Number(double value) => value.ToString("#,0.##", CultureInfo.InvariantCulture);

    internal static string Bytes(long bytes) => bytes switch
    {
        >= 1_000_000_000 => (bytes / 1e9).ToString("0.0", CultureInfo.InvariantCulture) + " GB",
        >= 1_000_000 => (bytes / 1e6).ToString("0.0", CultureInfo.InvariantCulture) + " MB",
        _ => (bytes / 1e3).ToString("0.0", CultureInfo.InvariantCulture) + " kB",
    };

    internal static string Duration(double seconds) => seconds switch
    {
        >= 7200 => (seconds / 3600).ToString("0.0", CultureInfo.InvariantCulture) + " h",
        >= 120 => (seconds / 60).ToString("0.0", CultureInfo.InvariantCulture) + " min",
        _ => seconds.ToString("0.0", CultureInfo.InvariantCulture) + " s",
    };

    internal static string Rank(int[] rank) => rank[0] == rank[1] ? Number(rank[0]) : $"{Number(rank[0])}×{Number(rank[1])}";
}
