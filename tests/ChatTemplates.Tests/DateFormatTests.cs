namespace Eigengate.ChatTemplates.Tests;

public sealed class DateFormatTests
{
    [Theory]
    [InlineData("%d %b %Y", "05 Mar 2027")]
    [InlineData("%Y-%m-%d %H:%M:%S", "2027-03-05 14:07:09")]
    [InlineData("%A, %-d %B %y", "Friday, 5 March 27")]
    [InlineData("%a %I:%M %p, day %j, %e|%%|%F %T", "Fri 02:07 PM, day 064,  5|%|2027-03-05 14:07:09")]
    public void StrftimeNow_PrintsTheInjectedClock(string format, string expected)
    {
        var options = new RenderOptions { Clock = new FixedClock() };
        Assert.Equal(expected, Sample.Render($"{{{{ strftime_now('{format}') }}}}", options));
    }

    private sealed class FixedClock : TimeProvider
    {
        public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

        public override DateTimeOffset GetUtcNow() => new(2027, 3, 5, 14, 7, 9, TimeSpan.Zero);
    }
}
